//! What a stop waits for, printed meanwhile: one line that is updated on a terminal, otherwise a line per change.

use std::io::Write;

use super::output;
use super::overview::cut;
use crate::supervisor::Awaited;

#[derive(Debug, Default)]
pub(super) struct Waiting {
    last: String,
}

impl Waiting {
    /// Shows these processes, if any.
    pub(super) fn show(&mut self, awaited: &[Awaited]) {
        let text = if awaited.is_empty() { String::new() } else { format!("waiting for {}", list(awaited)) };
        if text == self.last {
            return;
        }
        match output::terminal_size() {
            // One column less: some terminals wrap at the edge.
            Some((columns, _)) => {
                print(&format!("\r\x1b[K{}", cut(&output::sanitise(&text), columns.saturating_sub(1))))
            }
            None if text.is_empty() => {}
            None => output::line(&text),
        }
        self.last = text;
    }

    /// Clears the line for other output.
    pub(super) fn clear(&mut self) {
        self.show(&[]);
    }
}

fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    // A closed pipe is no error here.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// `chat-server (pid 12, 7 s left, 2 grandchildren), …`
pub(super) fn list(awaited: &[Awaited]) -> String {
    let one = |awaited: &Awaited| {
        let grandchildren = match awaited.grandchildren {
            0 => String::new(),
            1 => ", 1 grandchild".to_owned(),
            more => format!(", {more} grandchildren"),
        };
        let time =
            if awaited.killed { "killed".to_owned() } else { format!("{} s left", awaited.seconds_left) };
        format!("{} (pid {}, {time}{grandchildren})", awaited.name, awaited.pid)
    };
    awaited.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_named_with_its_time_and_its_family() {
        let one = |name: &str, grandchildren| Awaited {
            name: name.to_owned(),
            pid: 12,
            seconds_left: 7,
            killed: false,
            grandchildren,
        };
        let text = list(&[one("chat-server", 2), one("api", 1), one("web", 0)]);
        assert_eq!(
            text,
            "chat-server (pid 12, 7 s left, 2 grandchildren), api (pid 12, 7 s left, 1 grandchild), web (pid 12, 7 s left)"
        );
    }
}
