//! A scrollable overlay of lines: the help, or the answer to a command.

use super::wrap::wrap;

/// The help text.
const HELP: &[&str] = &[
    "Enter            send;  Alt-Enter or Ctrl-J: a new line",
    "Tab              complete a name or a command;  with nothing typed: read on",
    "Up, Down         lines that were sent",
    "PgUp, PgDn       older, newer;  Ctrl-Home: the oldest;  Esc: the newest",
    "Ctrl-N, Ctrl-P   next, previous conversation;  also Alt-Down, Alt-Up",
    "Ctrl-F           search all messages",
    "Ctrl-A, Ctrl-E   start, end of the line;  Alt-B, Alt-F: a word back, on",
    "Ctrl-W, Alt-D    delete a word back, on;  Ctrl-U, Ctrl-K: to the start, end",
    "Ctrl-L           draw again;  Ctrl-Z: suspend",
    "Ctrl-D           leave;  also: exit, or Ctrl-C twice",
    "",
    "bob: hi          say hi to bob;  /to bob: talk with bob",
    "/search TEXT     search;  /say TEXT: say TEXT as it stands",
    "/who             who is online;  /mouse: use the mouse, or not",
];

/// The indentation of continuation rows.
const INDENT: &str = "  ";

/// The lines of an overlay.
#[derive(Debug, Default)]
pub(super) struct Reading {
    lines: Vec<String>,
    first: usize,
    /// Whether the lines exceeded the last frame.
    scrolls: bool,
}

impl Reading {
    pub(super) fn help() -> Self {
        Self { lines: HELP.iter().map(|line| (*line).to_owned()).collect(), ..Self::default() }
    }

    pub(super) fn add(&mut self, line: String) {
        self.lines.push(line);
    }

    /// Whether the lines exceed the screen.
    pub(super) fn scrolls(&self) -> bool {
        self.scrolls
    }

    pub(super) fn up(&mut self, rows: usize) {
        self.first = self.first.saturating_sub(rows);
    }

    pub(super) fn down(&mut self, rows: usize) {
        self.first = self.first.saturating_add(rows);
    }

    /// The visible rows at a width, at most `height`.
    pub(super) fn rows(&mut self, width: usize, height: usize) -> Vec<String> {
        let rows: Vec<String> = self.lines.iter().flat_map(|line| indented(line, width)).collect();
        self.scrolls = rows.len() > height;
        self.first = self.first.min(rows.len().saturating_sub(height));
        rows.into_iter().skip(self.first).take(height).collect()
    }
}

fn indented(line: &str, width: usize) -> Vec<String> {
    let room = width.saturating_sub(INDENT.len());
    let mut rows = wrap(line, width);
    if rows.len() > 1 {
        let rest = line[rows[0].len()..].trim_start();
        rows = std::iter::once(rows.swap_remove(0))
            .chain(wrap(rest, room).into_iter().map(|row| format!("{INDENT}{row}")))
            .collect();
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_width::UnicodeWidthStr;

    #[test]
    fn the_help_fits_on_a_terminal_of_eighty_columns_and_is_scrolled_on_a_smaller_one() {
        let mut help = Reading::help();
        assert_eq!(help.rows(78, 20).len(), HELP.len());
        assert!(!help.scrolls());
        let first = help.rows(38, 7);
        assert!(help.scrolls() && first.iter().all(|row| row.width() <= 38), "{first:?}");
        let mut all = first.clone();
        while {
            help.down(1);
            let rows = help.rows(38, 7);
            let moved = all[all.len() - 7..] != rows;
            all.extend(rows.last().filter(|_| moved).cloned());
            moved
        } {}
        let letters = |text: String| text.split_whitespace().collect::<String>();
        assert_eq!(letters(all.concat()), letters(HELP.concat()), "all of it can be read");
        help.up(1000);
        assert_eq!(help.rows(38, 7), first);
    }
}
