//! A real terminal for the client: a separate tmux server, whose screen the test reads.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Time limit for expected output.
const PATIENCE: Duration = Duration::from_secs(10);

/// A terminal of 80 columns that runs a shell command.
pub(crate) struct Tmux {
    directory: TempDir,
}

impl Tmux {
    /// Runs a command line in a new, very high terminal; `None` if the tests were told to skip tmux.
    pub(crate) fn run(command: &str) -> Option<Self> {
        Self::sized(command, 80, 250)
    }

    /// Runs a command line in a new terminal of this size.
    pub(crate) fn sized(command: &str, width: u16, height: u16) -> Option<Self> {
        if std::env::var_os("P2P_TEST_SKIP_TMUX").is_some() {
            return None;
        }
        let found = Command::new("tmux").arg("-V").output();
        assert!(
            found.is_ok(),
            "the client is tested in a real terminal: install tmux, or set P2P_TEST_SKIP_TMUX=1 to do without"
        );
        let terminal = Self { directory: tempfile::tempdir().unwrap() };
        let state = terminal.state();
        let command =
            format!("env -u NO_COLOR XDG_STATE_HOME='{}' TZ=UTC0 LC_ALL=C.UTF-8 {command}", state.display());
        // The screen stays when the command exits, and the shell shows its exit status and the terminal's settings.
        let shell =
            format!("{command}; echo \"[ended $?]\"; stty -a | grep -o ' icanon\\| echo '; exec sleep 600");
        let (width, height) = (width.to_string(), height.to_string());
        terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", &width, "-y", &height, &shell]);
        Some(terminal)
    }

    /// The directory of the client's history.
    pub(crate) fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// Resizes the terminal.
    pub(crate) fn resize(&self, width: u16, height: u16) {
        self.tmux(&["resize-window", "-x", &width.to_string(), "-y", &height.to_string()]);
    }

    /// The title that the program gave the window.
    pub(crate) fn title(&self) -> String {
        self.tmux(&["display-message", "-p", "#{pane_title}"]).trim().to_owned()
    }

    /// Whether the alternate screen, the cursor, the mouse, the keypad's own keys and the wrapping of rows are on.
    pub(crate) fn flags(&self) -> String {
        let flags = "#{alternate_on} #{cursor_flag} #{mouse_any_flag} #{keypad_flag} #{wrap_flag}";
        self.tmux(&["display-message", "-p", flags]).trim().to_owned()
    }

    /// Records all output of the program from now on.
    pub(crate) fn record(&self) {
        let file = self.recording();
        self.tmux(&["pipe-pane", &format!("cat >> '{}'", file.display())]);
        std::fs::write(file, "").unwrap();
    }

    /// How often the bell rang since; the terminator of a window title does not count.
    pub(crate) fn bells(&self) -> usize {
        self.recorded().matches('\x07').count() - self.titles().len()
    }

    /// The titles that the program gave the window since.
    pub(crate) fn titles(&self) -> Vec<String> {
        let written = self.recorded();
        let titles = written.split("\x1b]0;").skip(1);
        titles.map(|rest| rest.split('\x07').next().unwrap_or_default().to_owned()).collect()
    }

    /// All output since.
    pub(crate) fn recorded(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.recording()).unwrap()).into_owned()
    }

    fn recording(&self) -> PathBuf {
        self.directory.path().join("recording")
    }

    /// Sends a focus event to the program.
    pub(crate) fn focus(&self, focused: bool) {
        self.tmux(&["send-keys", "-H", "1b", "5b", if focused { "49" } else { "4f" }]);
    }

    /// Pastes like a terminal, with bracketed paste if enabled.
    pub(crate) fn paste(&self, text: &str) {
        self.tmux(&["set-buffer", text]);
        self.tmux(&["paste-buffer", "-p"]);
    }

    /// Types text.
    pub(crate) fn type_text(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
    }

    /// Presses keys by tmux's names for them.
    pub(crate) fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// The non-empty rows of the screen.
    pub(crate) fn rows(&self) -> Vec<String> {
        let screen = self.tmux(&["capture-pane", "-p"]);
        screen.lines().map(|row| row.trim_end().to_owned()).filter(|row| !row.is_empty()).collect()
    }

    /// Waits until the screen satisfies a condition, and returns its rows.
    pub(crate) fn until(&self, what: &str, mut good: impl FnMut(&[String]) -> bool) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let rows = self.rows();
            if good(&rows) {
                return rows;
            }
            assert!(Instant::now() < deadline, "{what} does not appear:\n{}", rows.join("\n"));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for a row with this ending.
    pub(crate) fn until_row(&self, ending: &str) -> Vec<String> {
        self.until(ending, |rows| rows.iter().any(|row| row.ends_with(ending)))
    }

    /// The process that the terminal was opened for, or a child of it.
    pub(crate) fn client_pid(&self) -> String {
        let shell = self.tmux(&["display-message", "-p", "#{pane_pid}"]);
        let children = Command::new("pgrep").args(["-P", shell.trim()]).output().unwrap();
        String::from_utf8(children.stdout).unwrap().trim().to_owned()
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let socket = self.directory.path().join("tmux");
        let output =
            Command::new("tmux").env_remove("TMUX").arg("-S").arg(socket).args(arguments).output().unwrap();
        assert!(output.status.success(), "tmux {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let socket = self.directory.path().join("tmux");
        let _ = Command::new("tmux").arg("-S").arg(socket).arg("kill-server").output();
    }
}
