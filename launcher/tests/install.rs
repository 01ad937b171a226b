//! `install.sh`, run by a plain `sh` with fake `cargo` and compiler, in directories with spaces in their names.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// The programs that the script may use; `nc` and `bash` are missing unless a test adds one.
const TOOLS: [&str; 19] = [
    "cat", "chmod", "cp", "dirname", "grep", "ls", "mkdir", "mktemp", "mv", "rm", "rmdir", "sed", "sh",
    "sleep", "tail", "tr", "uname", "env", "id",
];

/// A fake build: the program reports which build it is of.
const CARGO: &str = r#"#!/bin/sh
case $1 in
  --version) echo "cargo ${FAKE_CARGO_VERSION:-1.95.0} (abc 2026-01-01)" ;;
  build)
    echo "$PWD $*" >>"$HOME/cargo-calls"
    [ -z "${FAKE_BUILD_FAILS:-}" ] || exit 101
    while [ "$1" != --target-dir ]; do shift; done
    mkdir -p "$2/release"
    {
      printf '#!/bin/sh\n[ "$1" != man ] || { mkdir "$2" && echo page >"$2/launcher-status.1"; exit; }\n'
      printf 'echo built %s\n' "${FAKE_BUILD:-1}"
    } >"$2/release/launcher"
    chmod +x "$2/release/launcher"
    ;;
esac
"#;

const CC: &str =
    "#!/bin/sh\n[ -z \"${FAKE_CC_FAILS:-}\" ] || { echo 'stdio.h: no such file' >&2; exit 1; }\n";

/// A machine with a user and a clone.
struct Machine {
    root: TempDir,
}

struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Machine {
    fn new() -> Self {
        let machine = Self { root: tempfile::Builder::new().prefix("p2p install ").tempdir().unwrap() };
        for directory in [machine.tools(), machine.clone_of_ours().join("config"), machine.home()] {
            fs::create_dir_all(directory).unwrap();
        }
        for tool in TOOLS {
            machine.tool(tool);
        }
        machine.program("cargo", CARGO);
        machine.program("cc", CC);
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for file in ["install.sh", "Cargo.toml", "config/launcher.toml"] {
            fs::copy(repository.join(file), machine.clone_of_ours().join(file)).unwrap();
        }
        machine
    }

    fn tools(&self) -> PathBuf {
        self.root.path().join("tools")
    }

    fn clone_of_ours(&self) -> PathBuf {
        self.root.path().join("a clone")
    }

    fn home(&self) -> PathBuf {
        self.root.path().join("my home")
    }

    fn in_home(&self, path: &str) -> PathBuf {
        self.home().join(path)
    }

    /// Makes one of this machine's real programs available.
    fn tool(&self, name: &str) {
        let path = std::env::var_os("PATH").unwrap();
        let found = std::env::split_paths(&path).map(|directory| directory.join(name));
        symlink(found.into_iter().find(|path| path.exists()).unwrap(), self.tools().join(name)).unwrap();
    }

    fn program(&self, name: &str, text: &str) {
        let path = self.tools().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn without(&self, name: &str) {
        fs::remove_file(self.tools().join(name)).unwrap();
    }

    fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Run {
        let script = self.clone_of_ours().join("install.sh");
        let Output { status, stdout, stderr } = Command::new(self.tools().join("sh"))
            .arg(script)
            .args(arguments)
            .current_dir("/")
            .env_clear()
            .env("PATH", self.tools())
            .env("HOME", self.home())
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Run { code: status.code(), out: text(stdout), err: text(stderr) }
    }

    /// Installs, which must succeed.
    fn install(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Run {
        let run = self.run(arguments, environment);
        assert_eq!(run.code, Some(0), "{}{}", run.out, run.err);
        run
    }

    fn installed_says(&self) -> String {
        let output = Command::new(self.in_home(".local/bin/launcher")).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_first_run_installs_and_writes_what_is_missing() {
    let machine = Machine::new();
    let run = machine.install(&[], &[]);
    assert_eq!(machine.installed_says(), "built 1\n");
    let config = fs::read(machine.in_home(".config/p2p-chat/launcher.toml")).unwrap();
    assert_eq!(config, fs::read(machine.clone_of_ours().join("config/launcher.toml")).unwrap());
    let secrets = machine.in_home(".config/p2p-chat/.env");
    assert_eq!(mode(&secrets), 0o600);
    let secrets = fs::read_to_string(secrets).unwrap();
    assert!(secrets.contains("\n#MONGO_URL=") && secrets.contains("\n#OPENAI_API_KEY="), "{secrets}");
    let calls = fs::read_to_string(machine.in_home("cargo-calls")).unwrap();
    let clone = machine.clone_of_ours();
    assert_eq!(calls, format!("{0} build --release --locked --target-dir {0}/target\n", clone.display()));
    assert!(run.err.contains("not on your PATH"), "{}", run.err);
    assert!(run.out.contains("none is needed"), "{}", run.out);
    assert!(!machine.in_home(".config/systemd").exists());
}

/// What a shell or `man` searches for.
const BESIDE: [&str; 4] = [
    ".local/share/bash-completion/completions/launcher",
    ".local/share/zsh/site-functions/_launcher",
    ".local/share/fish/vendor_completions.d/launcher.fish",
    ".local/share/man/man1/launcher-status.1",
];

#[test]
fn completions_and_manual_pages_come_and_go_with_the_program() {
    let machine = Machine::new();
    let theirs = machine.in_home(BESIDE[1]);
    fs::create_dir_all(theirs.parent().unwrap()).unwrap();
    fs::write(&theirs, "theirs").unwrap();
    let run = machine.install(&[], &[]);
    assert!(run.err.contains("_launcher, which was there before"), "{}", run.err);
    assert!(BESIDE.iter().all(|path| machine.in_home(path).exists()));
    machine.install(&[], &[("FAKE_BUILD", "2")]);
    assert_eq!(fs::read_to_string(machine.in_home(BESIDE[0])).unwrap(), "built 2\n");
    machine.run(&["--uninstall"], &[]);
    let left: Vec<&&str> = BESIDE.iter().filter(|path| machine.in_home(path).exists()).collect();
    assert_eq!(left, [&BESIDE[1]]);
    assert_eq!(fs::read_to_string(theirs).unwrap(), "theirs");
}

#[test]
fn a_second_run_replaces_the_program_and_nothing_else() {
    let machine = Machine::new();
    machine.install(&[], &[]);
    let config = machine.in_home(".config/p2p-chat/launcher.toml");
    let secrets = machine.in_home(".config/p2p-chat/.env");
    fs::write(&config, "# mine\n").unwrap();
    fs::write(&secrets, "OPENAI_API_KEY=sk-mine\n").unwrap();
    fs::set_permissions(&secrets, fs::Permissions::from_mode(0o644)).unwrap();
    let bin = machine.in_home(".local/bin");
    let path = format!("{}:{}", machine.tools().display(), bin.display());
    let run = machine.install(&[], &[("FAKE_BUILD", "2"), ("PATH", &path)]);
    assert_eq!(machine.installed_says(), "built 2\n");
    assert_eq!(fs::read_to_string(config).unwrap(), "# mine\n");
    assert_eq!(fs::read_to_string(secrets).unwrap(), "OPENAI_API_KEY=sk-mine\n");
    assert!(run.err.contains("others may read") && !run.err.contains("PATH"), "{}", run.err);
    assert!(!run.out.contains("sk-mine") && !run.err.contains("sk-mine"));
    assert_eq!(fs::read_dir(bin).unwrap().count(), 1, "nothing is left beside the program");
}

#[test]
fn without_cargo_or_with_an_old_one_it_says_what_to_do() {
    let machine = Machine::new();
    let old = machine.run(&[], &[("FAKE_CARGO_VERSION", "1.88.3-nightly")]);
    assert_eq!(old.code, Some(1));
    assert!(old.err.contains("1.88 is too old: 1.89 or later"), "{}", old.err);
    machine.install(&[], &[("FAKE_CARGO_VERSION", "1.89.0")]);
    machine.without("cargo");
    let missing = machine.run(&[], &[]);
    assert_eq!(missing.code, Some(1));
    assert!(missing.err.contains("cargo") && missing.err.contains("https://sh.rustup.rs"), "{}", missing.err);
}

#[test]
fn a_cargo_that_is_not_on_the_path_yet_is_found() {
    let machine = Machine::new();
    fs::create_dir_all(machine.in_home(".cargo/bin")).unwrap();
    fs::rename(machine.tools().join("cargo"), machine.in_home(".cargo/bin/cargo")).unwrap();
    machine.install(&[], &[]);
}

#[test]
fn without_a_working_compiler_it_says_what_to_do() {
    let machine = Machine::new();
    let broken = machine.run(&[], &[("FAKE_CC_FAILS", "1")]);
    assert_eq!(broken.code, Some(1));
    assert!(broken.err.contains("stdio.h: no such file"), "{}", broken.err);
    machine.without("cc");
    machine.program("apt-get", "#!/bin/sh\n");
    let missing = machine.run(&[], &[]);
    assert_eq!(missing.code, Some(1));
    assert!(missing.err.contains("there is no 'cc'"), "{}", missing.err);
    assert!(cfg!(not(target_os = "linux")) || missing.err.contains("build-essential"), "{}", missing.err);
    assert!(!machine.in_home(".local").exists(), "nothing is installed by halves");
}

#[test]
fn a_build_that_fails_changes_nothing() {
    let machine = Machine::new();
    machine.install(&[], &[]);
    let run = machine.run(&[], &[("FAKE_BUILD_FAILS", "1")]);
    assert_eq!((run.code, machine.installed_says().as_str()), (Some(1), "built 1\n"));
}

#[test]
fn a_program_of_somebody_else_is_not_replaced_and_not_removed() {
    let machine = Machine::new();
    let theirs = machine.in_home(".local/bin/launcher");
    fs::create_dir_all(theirs.parent().unwrap()).unwrap();
    fs::write(&theirs, "theirs").unwrap();
    let run = machine.run(&[], &[]);
    assert_eq!(run.code, Some(1));
    assert!(run.err.contains("is another program"), "{}", run.err);
    assert_eq!(machine.run(&["--uninstall"], &[]).code, Some(0));
    assert_eq!(fs::read_to_string(theirs).unwrap(), "theirs");
}

#[test]
fn uninstall_removes_what_was_installed_and_keeps_what_is_the_user_s() {
    let machine = Machine::new();
    machine.install(&["--systemd"], &[]);
    machine.install(&[], &[]);
    let messages = machine.in_home(".local/state/p2p-chat/data/chat.db");
    fs::create_dir_all(messages.parent().unwrap()).unwrap();
    fs::write(&messages, "messages").unwrap();
    let run = machine.run(&["--uninstall"], &[]);
    assert_eq!(run.code, Some(0));
    assert!(!machine.in_home(".local/bin/launcher").exists());
    assert!(!machine.in_home(".local/share/p2p-chat").exists());
    assert!(!machine.in_home(".config/systemd/user/p2p-chat.service").exists());
    assert!(messages.exists() && machine.in_home(".config/p2p-chat/.env").exists());
    assert!(
        run.out.contains(".local/state/p2p-chat\n") && run.out.contains(".config/p2p-chat\n"),
        "{}",
        run.out
    );
    assert_eq!(machine.run(&["--uninstall"], &[]).code, Some(0), "twice is fine");
}

#[test]
fn prefix_is_where_it_goes_by_flag_or_environment() {
    let machine = Machine::new();
    let elsewhere = machine.root.path().join("else where");
    machine.install(&[&format!("--prefix={}", elsewhere.display())], &[("PREFIX", "/nonexistent")]);
    assert!(elsewhere.join("bin/launcher").exists());
    let other = machine.root.path().join("other");
    machine.install(&[], &[("PREFIX", other.to_str().unwrap())]);
    assert!(other.join("bin/launcher").exists());
    assert!(!machine.in_home(".local").exists());
}

#[test]
fn the_unit_names_every_path_as_systemd_reads_it() {
    let machine = Machine::new();
    let run =
        machine.install(&["--systemd", "--prefix", machine.in_home("100% $mine").to_str().unwrap()], &[]);
    let path = machine.in_home(".config/systemd/user/p2p-chat.service");
    let unit = fs::read_to_string(&path).unwrap();
    let home = machine.home();
    let home = home.display();
    let command = format!(
        "ExecStart=\"{home}/100%% $mine/bin/launcher\" up --config \"{home}/.config/p2p-chat/launcher.toml\" \
         --data \"{home}/.local/state/p2p-chat/data\" --logs \"{home}/.local/state/p2p-chat/logs\"\n"
    );
    assert!(unit.contains(&command), "{unit}");
    for line in [
        "Type=notify",
        "WatchdogSec=30",
        "Restart=on-failure",
        "KillMode=mixed",
        "TimeoutStopSec=30",
        "WantedBy=default.target",
    ] {
        assert!(unit.lines().any(|other| other == line), "{unit}");
    }
    assert!(run.out.contains("systemctl --user enable --now p2p-chat"), "{}", run.out);
    let mut verify = Command::new("systemd-analyze");
    verify.args(["--user", "verify"]).arg(&path).env("XDG_RUNTIME_DIR", machine.root.path());
    // Without systemd nobody is asked. Other units may have any content.
    if let Ok(answer) = verify.output() {
        let said = String::from_utf8_lossy(&answer.stderr);
        assert!(!said.contains("p2p-chat.service"), "{said}");
    }
}

#[test]
fn a_unit_of_somebody_else_is_not_replaced() {
    let machine = Machine::new();
    let unit = machine.in_home(".config/systemd/user/p2p-chat.service");
    fs::create_dir_all(unit.parent().unwrap()).unwrap();
    fs::write(&unit, "[Service]\n").unwrap();
    assert_eq!(machine.run(&["--systemd"], &[]).code, Some(1));
    machine.run(&["--uninstall"], &[]);
    assert_eq!(fs::read_to_string(unit).unwrap(), "[Service]\n");
}

#[test]
fn mongodb_is_tried_and_its_password_never_shown() {
    let machine = Machine::new();
    machine.tool("bash");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let url = format!("mongodb://user:hunter%2F2@{address},other:1/messaging_db?replicaSet=rs");
    let up = machine.install(&[], &[("MONGO_URL", &url)]);
    assert!(up.out.contains(&format!("something answers at {address}")), "{}{}", up.out, up.err);
    drop(listener);
    fs::write(machine.in_home(".config/p2p-chat/.env"), format!("MONGO_URL='{url}'\n")).unwrap();
    let down = machine.install(&[], &[]);
    assert!(down.err.contains(&format!("{address}, and nothing answers there")), "{}{}", down.out, down.err);
    for text in [up.out, up.err, down.out, down.err] {
        assert!(!text.contains("hunter"), "{text}");
    }
}

#[test]
fn help_and_mistakes() {
    let machine = Machine::new();
    let help = machine.run(&["--help"], &[]);
    assert_eq!(help.code, Some(0));
    assert!(help.out.contains("--uninstall") && help.out.contains("--systemd"), "{}", help.out);
    assert_eq!(machine.run(&["--frobnicate"], &[]).code, Some(64));
    assert_eq!(machine.run(&["--prefix"], &[]).code, Some(1));
}
