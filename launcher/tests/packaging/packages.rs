//! The packages, made of the program under test, and run: in a copy-on-write view of this machine, and as a container.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::root;

/// The packages of some kinds.
fn build(kinds: &[&str]) -> TempDir {
    let out = tempfile::tempdir().unwrap();
    // Without symbols a debug build is half as large.
    let binary = out.path().join("launcher");
    let program = env!("CARGO_BIN_EXE_launcher");
    if !Command::new("strip").arg("-o").arg(&binary).arg(program).status().is_ok_and(|done| done.success()) {
        std::fs::copy(program, &binary).unwrap();
    }
    let mut command = Command::new(root().join("packaging/build.sh"));
    command.arg("--binary").arg(&binary).arg("--out").arg(out.path().join("packages")).args(kinds);
    succeed(&mut command);
    out
}

fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}\n{}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The package whose name ends like this.
fn package(out: &TempDir, ending: &str) -> PathBuf {
    let files = std::fs::read_dir(out.path().join("packages")).unwrap().map(|file| file.unwrap().path());
    files.into_iter().find(|path| path.to_str().unwrap().ends_with(ending)).unwrap()
}

/// Whether the kernel makes the namespaces that a test needs; if not, it is skipped.
#[expect(clippy::print_stderr, reason = "a skipped test says why")]
fn has_namespaces() -> bool {
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--net", "--pid", "--fork", "sh", "-c", "ip link set lo up"]);
    let output = unshare.output();
    let is_root = output.as_ref().is_ok_and(|output| output.status.success());
    if !is_root {
        eprintln!("skipped: namespaces need root, unshare and ip: {:?}", output.map(|output| said(&output)));
    }
    is_root
}

fn unshare(script: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--net", "--pid", "--fork", "--kill-child", "sh"]);
    command.arg(root().join("launcher/tests/packaging").join(script));
    command
}

#[test]
fn the_archive_has_the_program_its_manuals_and_the_licences() {
    let out = build(&["tarball"]);
    let archive = package(&out, "-linux.tar.gz");
    let top = archive.file_name().unwrap().to_str().unwrap().trim_end_matches(".tar.gz").to_owned();
    succeed(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(out.path()));
    let unpacked = out.path().join(top);
    for file in [
        "etc/p2p-chat/launcher.toml",
        "share/bash-completion/completions/p2p-chat",
        "share/doc/p2p-chat/LICENSE-APACHE",
        "share/doc/p2p-chat/LICENSE-MIT",
        "share/fish/vendor_completions.d/p2p-chat.fish",
        "share/man/man1/launcher-status.1.gz",
        "share/man/man1/p2p-chat.1.gz",
        "share/zsh/site-functions/_launcher",
    ] {
        assert!(unpacked.join(file).exists(), "{file}");
    }
    let others =
        std::fs::read_to_string(unpacked.join("share/doc/p2p-chat/THIRD-PARTY-LICENSES.txt")).unwrap();
    assert!(others.contains("\ntokio 1."), "{}", others.len());
    let version = succeed(Command::new(unpacked.join("bin/p2p-chat")).arg("--version"));
    assert_eq!(version.split(' ').nth(1).map(str::trim), Some(env!("CARGO_PKG_VERSION")));
    let help = succeed(Command::new(unpacked.join("bin/p2p-chat")).arg("--help"));
    assert!(help.contains("Usage: p2p-chat "), "{help}");
    let sums = Command::new("sha256sum")
        .args(["-c", "SHA256SUMS"])
        .current_dir(out.path().join("packages"))
        .output();
    assert!(sums.unwrap().status.success());
}

#[test]
fn the_release_workflow_runs_scripts_of_ours() {
    let workflow = std::fs::read_to_string(root().join(".github/workflows/release.yml")).unwrap();
    let commands = workflow.lines().filter_map(|line| line.trim_start().strip_prefix("- run: "));
    let scripts: Vec<&str> =
        commands.filter_map(|line| line.split(' ').next()).filter(|word| word.contains('/')).collect();
    assert_eq!(scripts, [".ci/run", "packaging/build.sh"]);
    for script in scripts {
        succeed(Command::new("test").arg("-x").arg(root().join(script)));
    }
}

#[test]
fn the_unit_is_valid_and_hardened() {
    let directory = tempfile::tempdir().unwrap();
    let unit = std::fs::read_to_string(root().join("packaging/systemd/p2p-chat.service")).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_launcher"));
    let unit = unit
        .replace("@BIN@", program.parent().unwrap().to_str().unwrap())
        .replace("@CONFIG@", "/etc/p2p-chat");
    let path = directory.path().join("p2p-chat.service");
    std::fs::write(&path, unit).unwrap();
    let Ok(verified) =
        Command::new("systemd-analyze").arg("verify").arg(&path).env("MANPATH", directory.path()).output()
    else {
        return;
    };
    // Other units, and the manual that is not installed, are not asked about.
    let complaints: Vec<String> = said(&verified)
        .lines()
        .filter(|line| line.contains("p2p-chat.service") && !line.contains("man "))
        .map(str::to_owned)
        .collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    let judged = succeed(Command::new("systemd-analyze").args(["security", "--offline=true"]).arg(&path));
    let level = judged.rsplit_once(".service: ").unwrap().1.split(' ').next().unwrap();
    assert!(level.parse::<f64>().unwrap() < 2.0, "{judged}");
}

#[test]
fn debians_package_is_installed_run_removed_and_purged() {
    let is_debian = Path::new("/var/lib/dpkg/status").exists();
    if !is_debian || !has_namespaces() {
        return;
    }
    let out = build(&["deb"]);
    let scratch = tempfile::tempdir().unwrap();
    let output = unshare("debian.sh").arg(package(&out, ".deb")).arg(scratch.path()).output().unwrap();
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    for line in [
        "the page is http://127.0.0.1:8080",
        concat!("launcher ", env!("CARGO_PKG_VERSION")),
        "\nenabled\n",
        "\nhealthy\n",
        "\"sender\":\"alice\",\"destination\":\"bob\",\"message\":\"hello from a package\"",
        "\npage 200\n",
        "== stopped with 0",
        "== the program is gone\n/etc/p2p-chat/launcher.toml\n",
        "== clean",
    ] {
        assert!(said.contains(line), "'{line}' is not in:\n{said}");
    }
}

/// The long form: systemd boots, and the unit's sandbox is in force.
#[test]
fn systemd_runs_the_service_in_its_sandbox() {
    let has_nspawn = Command::new("systemd-nspawn").arg("--version").output().is_ok();
    if std::env::var_os("P2P_TEST_ROOT").is_none() || !has_nspawn || !has_namespaces() {
        eprintln!("skipped: it needs a root with systemd in P2P_TEST_ROOT, and systemd-nspawn");
        return;
    }
    let out = build(&["deb"]);
    let scratch = tempfile::tempdir().unwrap();
    let mut boot = Command::new("unshare");
    boot.args(["--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "sh"]);
    boot.arg(root().join("launcher/tests/packaging/systemd.sh"))
        .arg(package(&out, ".deb"))
        .arg(scratch.path());
    let said = said(&boot.output().unwrap());
    for line in [
        "state: active, healthy\ndelivered a message",
        "CapBnd:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n",
        "\nreloaded\nstate: active\ndelivered a message",
        "\nstopped: success\n",
        "\nclean\n",
    ] {
        assert!(said.contains(line), "'{line}' is not in:\n{said}");
    }
}

/// An image, unpacked.
struct Image {
    root: PathBuf,
    config: Value,
    /// A file with its environment.
    variables: PathBuf,
}

impl Image {
    fn unpack(out: &TempDir) -> Self {
        let layout = out.path().join("layout");
        std::fs::create_dir(&layout).unwrap();
        succeed(Command::new("tar").arg("-xf").arg(package(out, "-image.tar")).arg("-C").arg(&layout));
        let json = |path: PathBuf| serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap();
        let blob = |digest: &Value| layout.join("blobs").join(digest.as_str().unwrap().replace(':', "/"));
        let manifest = json(blob(&json(layout.join("index.json"))["manifests"][0]["digest"]));
        let description = json(blob(&manifest["config"]["digest"]));
        let root = out.path().join("root");
        std::fs::create_dir(&root).unwrap();
        let layer = blob(&manifest["layers"][0]["digest"]);
        succeed(Command::new("tar").arg("-xzpf").arg(layer).arg("-C").arg(&root));
        let config = description["config"].clone();
        let variables = out.path().join("variables");
        std::fs::write(&variables, words(&config["Env"]).join("\n")).unwrap();
        Self { root, config, variables }
    }

    /// What a debug build needs, which is not static.
    fn add_libraries(&self) {
        let listed = Command::new("ldd").arg(self.root.join("usr/bin/launcher")).output().unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        for path in listed.split_whitespace().filter(|word| word.starts_with('/')) {
            let copy = self.root.join(path.trim_start_matches('/'));
            std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
            std::fs::copy(path, copy).unwrap();
        }
    }

    fn run(&self) -> Child {
        let mut command = unshare("container.sh");
        command.arg(&self.root).arg(&self.variables);
        command.args(words(&self.config["Entrypoint"])).args(words(&self.config["Cmd"]));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Runs a command in the container whose process 1 this is, as `docker exec` does.
    fn execute(&self, process: u32, command: &[&str]) -> Output {
        let mut enter = Command::new("nsenter");
        enter.args(["--target", &process.to_string(), "--mount", "--net", "--pid", "--root", "--wd"]);
        enter.args(["--setuid", "65532", "--setgid", "65532", "--"]).args(command).env_clear();
        enter.envs(
            words(&self.config["Env"])
                .iter()
                .map(|pair| pair.split_once('=').unwrap())
                .collect::<BTreeMap<_, _>>(),
        );
        enter.output().unwrap()
    }
}

fn words(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect()
}

/// The process that `unshare --fork` has become the parent of.
fn child_of(process: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

#[test]
fn the_image_runs_as_process_1_of_a_user_without_rights_on_a_read_only_root() {
    if !has_namespaces() {
        return;
    }
    let out = build(&["image"]);
    let image = Image::unpack(&out);
    assert_eq!(image.config["User"], "65532:65532");
    assert_eq!(image.config["StopSignal"], "SIGTERM");
    image.add_libraries();

    let mut container = image.run();
    let check = words(&image.config["Healthcheck"]["Test"])[1..].to_vec();
    let mut last = String::new();
    crate::support::wait_for("the health check to pass", || {
        if let Some(status) = container.try_wait().unwrap() {
            panic!("the container ended with {status}: {}", {
                let mut text = String::new();
                std::io::Read::read_to_string(&mut container.stderr.take().unwrap(), &mut text).unwrap();
                text
            });
        }
        let process = child_of(container.id())?;
        let output = image.execute(process, &check);
        last = said(&output);
        output.status.success().then_some(())
    });
    assert!(last.contains("\nhealthy\n"), "{last}");
    let process = child_of(container.id()).unwrap();
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    assert!(status.contains("Name:\tlauncher") && status.contains("Uid:\t65532\t65532"), "{status}");
    assert!(status.lines().any(|line| line.starts_with("NSpid:") && line.ends_with("\t1")), "{status}");
    let sent = image.execute(process, &["/usr/bin/p2p-chat", "probe"]);
    assert!(sent.status.success(), "{}", said(&sent));

    // As `docker stop` does.
    succeed(Command::new("kill").args(["-TERM", &process.to_string()]));
    let output = container.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("stopped"), "{}", said(&output));
}
