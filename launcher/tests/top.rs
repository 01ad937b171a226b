//! `launcher top` and `launcher status --watch` in a real terminal: a tmux server of its own, whose screen is read.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::PathBuf;
use std::process::{Command, Output};

use support::{Home, Launcher, wait_for};

/// A terminal with a command.
struct Terminal {
    socket: PathBuf,
}

impl Terminal {
    /// Runs a subcommand of the launcher in a new terminal; `None` if tmux is skipped.
    fn run(launcher: &Launcher, arguments: &str, environment: &str) -> Option<Self> {
        if std::env::var_os("P2P_TEST_SKIP_TMUX").is_some() {
            return None;
        }
        let home = &launcher.home;
        let terminal = Self { socket: home.dir.path().join("tmux") };
        // The screen stays when the command ends, and the shell prints its exit code and the state of the terminal.
        let shell = format!(
            "env -u NO_COLOR LC_ALL=C.UTF-8 {environment} {} {arguments} --data {} --logs {}; \
             echo \"[ended $?]\"; stty -a | grep -o ' icanon\\| echo '; exec sleep 600",
            env!("CARGO_BIN_EXE_launcher"),
            home.data().display(),
            home.logs().display()
        );
        terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "90", "-y", "24", &shell]);
        Some(terminal)
    }

    fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    fn rows(&self) -> Vec<String> {
        self.captured(&[])
    }

    /// With escape sequences for colours.
    fn coloured_rows(&self) -> Vec<String> {
        self.captured(&["-e"])
    }

    fn captured(&self, how: &[&str]) -> Vec<String> {
        let screen = self.tmux(&[&["capture-pane", "-p"], how].concat());
        let screen = String::from_utf8(screen.stdout).unwrap();
        screen.lines().map(|row| row.trim_end().to_owned()).collect()
    }

    fn until(&self, what: &str, mut good: impl FnMut(&[String]) -> bool) -> Vec<String> {
        let mut rows = Vec::new();
        let begin = std::time::Instant::now();
        while begin.elapsed() < support::PATIENCE {
            rows = self.rows();
            if good(&rows) {
                return rows;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("{what} does not appear:\n{}", rows.join("\n"));
    }

    fn until_text(&self, text: &str) -> Vec<String> {
        self.until(text, |rows| rows.iter().any(|row| row.contains(text)))
    }

    /// It exited successfully and restored the terminal.
    fn until_given_back(&self) {
        let rows = self.until("its end", |rows| rows.iter().any(|row| row.trim() == "echo"));
        assert_eq!(rows[0], "[ended 0]", "what was on its screen is gone: {rows:#?}");
        assert!(rows.iter().any(|row| row.trim() == "icanon"), "{rows:#?}");
    }

    fn tmux(&self, arguments: &[&str]) -> Output {
        let output =
            Command::new("tmux").env_remove("TMUX").arg("-S").arg(&self.socket).args(arguments).output();
        let output = output.expect("install tmux, or set P2P_TEST_SKIP_TMUX=1 to do without");
        assert!(output.status.success(), "tmux {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = Command::new("tmux").arg("-S").arg(&self.socket).arg("kill-server").output();
    }
}

/// In start order.
const COMPONENTS: [&str; 4] = ["message-api", "chat-server", "web-adapter", "thermometer"];

/// Programs that say something and do nothing.
fn talking() -> Launcher {
    let say = r#"["sh", "-c", "for i in $(seq 60); do echo NAME says $i; done; exec sleep 600"]"#;
    let set = |home: Home, name: &&str| home.set(&format!("{name}.command={}", say.replace("NAME", name)));
    COMPONENTS.iter().fold(Home::new(), set).up()
}

#[test]
fn top_shows_the_components_and_their_logs_and_its_keys_work() {
    let launcher = talking();
    let Some(terminal) = Terminal::run(&launcher, "top", "") else { return };
    terminal.until_text("message-api says 60");
    let rows = terminal.until_text("healthy");
    assert!(rows[1].starts_with("COMPONENT") && rows[2].starts_with("message-api"), "{rows:#?}");
    assert!(rows[23].contains("r restart"), "{rows:#?}");
    assert!(terminal.coloured_rows().iter().any(|row| row.contains("38;5;2mready")), "ready is green");

    terminal.press("?");
    terminal.until_text("stop it, after a question");
    terminal.press("Down");
    terminal.until_text("message-api says 60");
    terminal.press("o");
    terminal.until("the components by name", |rows| rows[2].starts_with("chat-server"));
    (0..5).for_each(|_| terminal.press("o"));
    // All of them, for the largest or the busiest may also be the first one started.
    terminal.until("the components in start order", |rows| {
        rows[2..].iter().zip(COMPONENTS).all(|(row, component)| row.starts_with(component))
    });

    terminal.press("Down");
    terminal.until_text("chat-server says 60");
    terminal.press("Home");
    terminal.until_text("chat-server says 1");
    terminal.press("End");
    terminal.until_text("chat-server says 60");
    terminal.press("Right");
    terminal.until("the right of the log", |rows| rows.iter().any(|row| row == "60"));

    let before = launcher.component_pid("chat-server").unwrap();
    terminal.press("r");
    wait_for("the restart", || launcher.component_pid("chat-server").filter(|pid| *pid != before));
    terminal.press("x");
    terminal.until_text("stop chat-server? y/n");
    terminal.press("y");
    terminal.until("the stop", |rows| rows[3].contains("stopped"));
    terminal.until_text("unhealthy: chat-server");
    terminal.press("s");
    terminal.until("the start", |rows| rows[3].contains("ready"));

    terminal.tmux(&["resize-window", "-x", "60", "-y", "14"]);
    terminal.until("the smaller screen", |rows| rows.len() == 14 && rows[13].contains("r restart"));
    assert!(terminal.rows()[1].contains("MEMORY"), "{:#?}", terminal.rows());
    terminal.press("q");
    terminal.until_given_back();
}

#[test]
fn top_says_when_the_launcher_has_gone_and_a_signal_gives_the_terminal_back() {
    let mut launcher = talking();
    let Some(terminal) = Terminal::run(&launcher, "top", "NO_COLOR=1") else { return };
    terminal.until_text("message-api says 60");
    assert!(!terminal.coloured_rows().iter().any(|row| row.contains("38;5;")), "{:#?}", terminal.rows());
    assert!(launcher.end("-TERM").success());
    terminal.until_text("no launcher runs on the data directory");
    let shell = terminal.tmux(&["display-message", "-p", "#{pane_pid}"]).stdout;
    let shell = String::from_utf8(shell).unwrap();
    let children = Command::new("pgrep").args(["-P", shell.trim()]).output().unwrap();
    support::kill(String::from_utf8(children.stdout).unwrap().trim().parse().unwrap(), "-TERM");
    terminal.until_given_back();
}

#[test]
fn a_watched_status_is_drawn_anew_and_the_terminal_given_back() {
    let launcher = talking();
    let Some(terminal) = Terminal::run(&launcher, "status --watch", "") else { return };
    terminal.until_text("healthy");
    assert!(launcher.home.run(&["stop", "thermometer"]).status.success());
    terminal.until_text("unhealthy: thermometer");
    terminal.press("C-c");
    terminal.until_given_back();
}

#[test]
fn top_wants_a_terminal_and_a_launcher() {
    let output = Home::new().run(&["top"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("status --watch"));
}
