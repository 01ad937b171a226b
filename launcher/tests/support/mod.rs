//! A real launcher with real components, on free ports and in a directory of its own, for tests that look at it from outside.
//!
//! `P2P_TEST_STORE=mongodb` runs them on a MongoDB that the test starts; otherwise the store is SQLite.
#![allow(dead_code, reason = "each test binary uses a part of this")]
#![allow(unreachable_pub, reason = "it is a module of several test binaries")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test's support fails by panicking, and says why"
)]

pub mod dice;
pub mod http;
pub mod line_client;
pub mod mongo;
pub mod processes;
pub mod stall;

use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use launcher::supervisor::Snapshot;
use launcher::supervisor::control::{Request, Response, request};
use serde_json::Value;

/// Longer than anything takes on a busy machine; a test that times out reports what it waited for.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Polls `probe` until it returns a value or [`PATIENCE`] is over.
pub fn wait_for<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A loopback address of this process: concurrent tests must not be given each other's ports.
pub fn own_ip() -> std::net::Ipv4Addr {
    let [_, a, b, c] = std::process::id().to_be_bytes();
    [127, 64 | (a & 0x3f), b, c].into()
}

/// An address that was free a moment ago.
pub fn free_address() -> SocketAddr {
    free_addresses::<1>()[0]
}

/// Different addresses: a released port may be assigned again at once, so all are held until all are known.
pub fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    let held: [TcpListener; N] = std::array::from_fn(|_| TcpListener::bind((own_ip(), 0)).unwrap());
    held.each_ref().map(|socket| socket.local_addr().unwrap())
}

/// The directory and arguments of a launcher of a test.
pub struct Home {
    pub dir: tempfile::TempDir,
    pub api: SocketAddr,
    pub chat: SocketAddr,
    pub page: SocketAddr,
    pub book: SocketAddr,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    mongo: Option<mongo::Mongo>,
}

impl Home {
    /// Free ports, an empty directory, all components enabled.
    pub fn new() -> Self {
        Self::on_members(1)
    }

    /// Like [`Home::new`]; with MongoDB, on a replica set of this many members.
    pub fn on_members(count: usize) -> Self {
        let wanted = std::env::var("P2P_TEST_STORE").as_deref() == Ok("mongodb");
        let mongo = wanted.then(|| mongo::Mongo::start_members(count));
        let [api, chat, page, book] = free_addresses();
        Self {
            dir: tempfile::tempdir().unwrap(),
            api,
            chat,
            page,
            book,
            arguments: Vec::new(),
            environment: mongo.iter().map(|mongo| ("MONGO_URL".to_owned(), mongo.url.clone())).collect(),
            mongo,
        }
    }

    /// Adds an argument to the command line.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Adds a setting.
    #[must_use]
    pub fn set(self, setting: &str) -> Self {
        self.argument("--set").argument(setting)
    }

    /// Adds a variable to the environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Whether the store is MongoDB; tests of SQLite's file are then skipped.
    pub fn is_on_mongodb(&self) -> bool {
        self.mongo.is_some()
    }

    /// Kills the primary of the replica set, if there is one, and restarts it.
    pub fn kill_store_primary(&mut self) {
        self.mongo.iter_mut().for_each(mongo::Mongo::kill_primary);
    }

    /// Kills the database server, if there is one.
    pub fn kill_store(&mut self) {
        self.mongo.iter_mut().for_each(mongo::Mongo::kill_all);
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn logs(&self) -> PathBuf {
        self.dir.path().join("logs")
    }

    /// The launcher with our directories and ports, and without this machine's own settings.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_launcher"));
        command.current_dir(self.dir.path());
        for name in ["MONGO_URL", "OPENAI_API_KEY", "P2P_CONFIG", "NOTIFY_SOCKET"] {
            command.env_remove(name);
        }
        command.env("XDG_CONFIG_HOME", self.dir.path()).env("XDG_STATE_HOME", self.dir.path());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.arg("--data").arg(self.data()).arg("--logs").arg(self.logs());
        for (key, address) in
            [("message-api", self.api), ("chat-server", self.chat), ("web-adapter", self.page)]
        {
            command.arg("--set").arg(format!("{key}.listen={address}"));
        }
        command.arg("--set").arg(format!("chat-server.book-listen={}", self.book));
        if arguments.first() == Some(&"up") {
            command.args(&self.arguments);
        }
        command.args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a subcommand to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Starts nothing yet.
    pub fn idle(self) -> Launcher {
        Launcher { child: None, home: self }
    }

    /// Starts everything, even if some components cannot become ready.
    pub fn start(self) -> Launcher {
        Launcher { child: Some(self.spawn()), home: self }
    }

    /// Starts everything and waits until it is ready.
    pub fn up(self) -> Launcher {
        let mut launcher = self.start();
        launcher.wait_until_healthy();
        launcher
    }

    fn spawn(&self) -> Child {
        let out = std::fs::File::create(self.dir.path().join("launcher.out")).unwrap();
        let mut command = self.command(&["up"]);
        command.stdout(out.try_clone().unwrap()).stderr(out).spawn().unwrap()
    }
}

/// A running launcher; stopped with all its children when dropped.
pub struct Launcher {
    pub home: Home,
    child: Option<Child>,
}

impl Launcher {
    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// The output of the launcher itself.
    pub fn printed(&self) -> String {
        std::fs::read_to_string(self.home.dir.path().join("launcher.out")).unwrap_or_default()
    }

    /// `launcher status --json`, if a launcher answers.
    pub fn status(&self) -> Option<Value> {
        let output = self.home.run(&["status", "--json"]);
        serde_json::from_slice(&output.stdout).ok()
    }

    pub fn component(&self, name: &str) -> Option<Value> {
        let status = self.status()?;
        status["components"].as_array()?.iter().find(|component| component["name"] == name).cloned()
    }

    pub fn component_pid(&self, name: &str) -> Option<u32> {
        u32::try_from(self.component(name)?["pid"].as_u64()?).ok()
    }

    pub fn wait_until_healthy(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.is_healthy() {
            if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
                panic!("the launcher ended with {status}:\n{}", self.printed());
            }
            assert!(Instant::now() < deadline, "not ready:\n{:#?}\n{}", self.status(), self.printed());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn is_healthy(&self) -> bool {
        let fine = |component: &Value| component["state"] == "ready" || component["state"] == "skipped";
        self.status().is_some_and(|status| {
            let components = status["components"].as_array().unwrap();
            !components.is_empty() && components.iter().all(fine)
        })
    }

    /// Kills a component, and returns how long it took until it was ready again.
    pub fn kill_component(&mut self, name: &str) -> Duration {
        let before = self.component_pid(name).unwrap();
        let started = Instant::now();
        kill(before, "-KILL");
        wait_for("the component's successor", || {
            let component = self.component(name)?;
            (component["state"] == "ready" && component["pid"].as_u64() != Some(before.into())).then_some(())
        });
        started.elapsed()
    }

    /// Ends the launcher with a signal, and returns its exit status.
    pub fn end(&mut self, signal: &str) -> std::process::ExitStatus {
        let mut child = self.child.take().unwrap();
        kill(child.id(), signal);
        child.wait().unwrap()
    }

    /// How it ended, if it has ended by itself.
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        let status = self.child.as_mut()?.try_wait().unwrap()?;
        self.child = None;
        Some(status)
    }

    /// Restarts it in the same directory.
    pub fn start_again(&mut self) {
        self.child = Some(self.home.spawn());
    }

    /// Restarts it in the same directory and waits until it is ready.
    pub fn up_again(&mut self) {
        self.start_again();
        self.wait_until_healthy();
    }

    /// The state, without starting a process to ask for it.
    pub fn snapshot(&self) -> Snapshot {
        wait_for("the launcher's answer", || self.try_snapshot())
    }

    /// As [`Self::snapshot`], if the launcher answers.
    pub fn try_snapshot(&self) -> Option<Snapshot> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        match runtime.block_on(request(&self.home.data(), &Request::Status)) {
            Ok(Response::Status { snapshot }) => Some(snapshot),
            _ => None,
        }
    }

    /// The running processes of this launcher's components, identified by the data directory in their environment or arguments.
    pub fn survivors(&self) -> Vec<u32> {
        let data = self.home.data();
        processes::all().filter(|pid| is_alive(*pid) && mentions(*pid, &data)).collect()
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        if std::thread::panicking() {
            let mut logs = String::new();
            for file in std::fs::read_dir(self.home.logs()).into_iter().flatten().flatten() {
                logs.push_str(&format!("== {}\n", file.path().display()));
                let _ = std::fs::File::open(file.path()).and_then(|mut file| file.read_to_string(&mut logs));
            }
            eprintln!("{}\n{logs}", self.printed());
        }
        kill(child.id(), "-TERM");
        let deadline = Instant::now() + PATIENCE;
        while child.try_wait().unwrap().is_none() {
            if Instant::now() > deadline {
                child.kill().unwrap();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

fn mentions(pid: u32, path: &Path) -> bool {
    let needle = path.to_str().unwrap();
    ["environ", "cmdline"].iter().any(|file| {
        let bytes = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).contains(needle)
    })
}

/// Sends a signal to one process that the test started.
pub fn kill(pid: u32, signal: &str) {
    let status = Command::new("kill").args([signal, &pid.to_string()]).status().unwrap();
    assert!(status.success() || !is_alive(pid), "kill {signal} {pid}");
}
