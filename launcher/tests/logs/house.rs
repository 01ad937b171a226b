//! A real launcher with processes that write, and their logs.

use std::fmt::Write;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Home, kill};
use crate::talk::{BYTES, CHILD, PLACE, Talk};

/// How long anything may take; the long forms take minutes.
const PATIENCE: Duration = Duration::from_secs(600);

/// A running launcher; stopped when dropped.
pub(crate) struct House {
    home: Home,
    child: Child,
}

impl House {
    /// A directory with components that do nothing.
    pub(crate) fn home() -> Home {
        let home = Home::new().argument("--no-web").argument("--no-thermometer").argument("--no-openai");
        let home = home.set("message-api.command=sleep 6000").set("chat-server.command=sleep 6000");
        std::fs::create_dir(home.logs()).unwrap();
        home
    }

    /// Starts it with these settings of `[logs]`.
    pub(crate) fn start(settings: &str, talks: &[Talk]) -> Self {
        Self::start_in(Self::home(), settings, talks)
    }

    pub(crate) fn start_in(home: Home, settings: &str, talks: &[Talk]) -> Self {
        let mut config = format!("[logs]\n{settings}\n");
        let program = std::env::current_exe().unwrap();
        let place = home.dir.path().display();
        for talk in talks {
            let Talk { child, bytes } = talk;
            write!(
                config,
                "[components.{}]\nneeds = []\ncommand = [{:?}, 'talk::role', '--exact', '--ignored', '--nocapture', '--test-threads=2']\n\
                 env = {{ {CHILD} = '{child}', {BYTES} = '{bytes}', {PLACE} = '{place}' }}\n",
                talk.name(),
                program.display().to_string(),
            )
            .unwrap();
        }
        let file = home.dir.path().join("launcher.toml");
        std::fs::write(&file, config).unwrap();
        let home = home.argument("--config").argument(file.to_str().unwrap());
        let out = std::fs::File::create(home.dir.path().join("launcher.out")).unwrap();
        let mut command = home.command(&["up"]);
        let child = command.stdout(out.try_clone().unwrap()).stderr(out).spawn().unwrap();
        Self { home, child }
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.home.logs()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.dir.path().join(name)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.command(arguments);
        command.stderr(Stdio::inherit());
        command
    }

    /// Polls for a condition.
    pub(crate) fn wait(&self, what: &str, is: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is() {
            let printed = || std::fs::read_to_string(self.path("launcher.out")).unwrap_or_default();
            assert!(Instant::now() < deadline, "waited in vain for {what}:\n{}", printed());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn is_done(&self, name: &str) -> bool {
        self.path(&format!("{name}.done")).exists()
    }

    /// Ends the endless writer, and returns its lines and bytes.
    pub(crate) fn end_the_beat(&self) -> (u64, u64) {
        std::fs::write(self.path("stop"), "").unwrap();
        self.wait("the beat to end", || self.path("said").exists());
        let said = std::fs::read_to_string(self.path("said")).unwrap();
        let (lines, bytes) = said.split_once(' ').unwrap();
        (lines.parse().unwrap(), bytes.parse().unwrap())
    }

    /// The files of a component, in the order in which they were written.
    pub(crate) fn files(&self, name: &str) -> Vec<(PathBuf, Vec<u8>)> {
        // A file may be compressed between listing and opening. A listing may also miss it: its new name came after that part of the
        // directory was read, and its old one went before the other part was.
        loop {
            let paths = self.paths(name);
            let read: Option<Vec<_>> = paths.iter().map(|path| Some((path.clone(), read(path)?))).collect();
            if let Some(files) = read
                && self
                    .paths(name)
                    .iter()
                    .map(|path| uncompressed(path))
                    .eq(paths.iter().map(|path| uncompressed(path)))
            {
                return files;
            }
        }
    }

    fn paths(&self, name: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.logs()).unwrap().flatten().map(|entry| entry.path());
        let of =
            |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(&format!("{name}."));
        let mut paths: Vec<PathBuf> =
            entries.filter(|path| of(path) && path.extension().is_some_and(|it| it != "tmp")).collect();
        paths.sort_by_key(|path| uncompressed(path));
        paths.dedup_by_key(|path| uncompressed(path));
        paths
    }

    /// Lines and bytes of the component itself in its log.
    pub(crate) fn written(&self, name: &str) -> (u64, u64) {
        let files = self.files(name);
        files.iter().map(|(_, text)| theirs(text)).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// What is missing in the log according to the launcher.
    pub(crate) fn dropped(&self, name: &str) -> (u64, u64) {
        let output = self.home.run(&["status", "--json"]);
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let components = status["components"].as_array().unwrap();
        let log = &components.iter().find(|it| it["name"] == name).unwrap()["log"];
        (log["dropped_lines"].as_u64().unwrap(), log["dropped_bytes"].as_u64().unwrap())
    }

    pub(crate) fn last_bytes(&self, name: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Ok(mut file) = std::fs::File::open(self.logs().join(format!("{name}.log"))) {
            let length = file.metadata().unwrap().len();
            file.seek(SeekFrom::Start(length.saturating_sub(100))).unwrap();
            file.read_to_end(&mut bytes).unwrap();
        }
        bytes
    }

    /// The maximum memory of the launcher in KiB. The code of an unoptimised one, which is as large again, is excluded.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let field = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches(" kB").parse().unwrap()
        };
        let code = if cfg!(debug_assertions) { field("RssFile:") } else { 0 };
        field("VmHWM:") - code
    }

    /// The CPU time of the launcher in seconds.
    pub(crate) fn cpu_time(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        let ticks = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
        ticks / 100.0
    }

    /// `launcher logs --verify`.
    pub(crate) fn prove(&self, code: i32, texts: &[&str]) {
        let output = self.home.run(&["logs", "--verify"]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{said}");
        texts.iter().for_each(|text| assert!(said.contains(text), "'{text}' is not in:\n{said}"));
    }

    pub(crate) fn stop(&mut self) {
        kill(self.child.id(), "-TERM");
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lines and bytes of a text that are not the launcher's.
pub(crate) fn theirs(text: &[u8]) -> (u64, u64) {
    let lines = text.split_inclusive(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"[launcher] "));
    lines.fold((0, 0), |(lines, bytes), line| {
        (lines + u64::from(line.ends_with(b"\n")), bytes + line.len() as u64)
    })
}

/// A file's name before it was compressed.
fn uncompressed(path: &Path) -> String {
    path.to_str().unwrap().trim_end_matches(".gz").to_owned()
}

/// A file's text, if it exists.
fn read(path: &Path) -> Option<Vec<u8>> {
    let bytes = std::fs::read(path).ok()?;
    if path.extension().is_none_or(|ending| ending != "gz") {
        return Some(bytes);
    }
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut text).unwrap();
    Some(text)
}

/// A small file system, unmounted when dropped.
pub(crate) struct TinyDisk(PathBuf);

impl TinyDisk {
    pub(crate) fn mount(place: &Path, size: &str) -> Option<Self> {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(place);
        command.output().is_ok_and(|output| output.status.success()).then(|| Self(place.to_owned()))
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l".as_ref(), self.0.as_os_str()]).output();
    }
}
