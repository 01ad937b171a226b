//! The output for the operator: results on standard output, errors on standard error.
//!
//! Failing to write never ends a command: a closed pipe is no error, and any other error, such as a full disk, is remembered for the exit
//! code ([`lost`]). Colours are used only on a terminal, and not with `NO_COLOR`. Names, errors and log lines come from others: their
//! control characters never reach the terminal, even where a caller forgot to [`sanitise`] them.

use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;

use protocol::sanitise;

/// The first error while writing.
static LOST: Mutex<Option<String>> = Mutex::new(None);

/// Why part of the output is missing, if it is.
pub(super) fn lost() -> Option<String> {
    LOST.lock().ok()?.clone()
}

/// Remembers an error, unless the reader has closed the pipe (`| head`).
fn note(written: io::Result<()>) -> bool {
    if let Err(error) = &written
        && error.kind() != io::ErrorKind::BrokenPipe
        && let Ok(mut lost) = LOST.lock()
    {
        lost.get_or_insert_with(|| error.to_string());
    }
    written.is_ok()
}

/// Prints a line.
pub(super) fn line(text: &str) {
    let mut out = io::stdout().lock();
    note(writeln!(out, "{}", without_foreign_codes(text)).and_then(|()| out.flush()));
}

/// Prints a value as JSON, for programs; control characters are escaped.
pub(super) fn json(value: &impl serde::Serialize) {
    let text = serde_json::to_string_pretty(value).expect("what is shown can be written as JSON");
    line(&sanitise::json(&text));
}

/// Prints lines unchanged; returns `false` once the reader has closed the pipe.
pub(super) fn raw(bytes: &[u8]) -> bool {
    let mut out = io::stdout().lock();
    note(out.write_all(bytes).and_then(|()| out.flush()))
}

/// Prints an error.
pub(super) fn error(text: &str) {
    let _ = writeln!(io::stderr().lock(), "launcher: {}", sanitise::text(text));
}

/// A count with its noun, such as "1 line" or "2 lines".
pub(super) fn many(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A colour of the terminal's own palette, by its ANSI number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    Red,
    Green,
    Yellow,
    Blue,
    Magenta,
    Cyan,
    /// For secondary information.
    Grey,
}

impl Colour {
    /// Colours that distinguish adjacent entries.
    pub(super) const DISTINCT: [Self; 5] = [Self::Cyan, Self::Yellow, Self::Green, Self::Magenta, Self::Blue];

    fn code(self) -> u8 {
        match self {
            Self::Red => 31,
            Self::Green => 32,
            Self::Yellow => 33,
            Self::Blue => 34,
            Self::Magenta => 35,
            Self::Cyan => 36,
            Self::Grey => 90,
        }
    }
}

/// The columns and rows of the terminal, if standard output is one.
pub(super) fn terminal_size() -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    // Some terminals report a size of zero.
    let or = |value: u16, usual: usize| if value == 0 { usual } else { usize::from(value) };
    Some((or(size.ws_col, 80), or(size.ws_row, 24)))
}

/// Whether to colour standard output.
pub(super) fn is_coloured() -> bool {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    wanted && std::env::var_os("TERM").is_none_or(|term| term != "dumb") && io::stdout().is_terminal()
}

/// A text in a colour, if colours are used.
pub(super) fn paint(text: &str, colour: Colour, coloured: bool) -> String {
    if coloured { format!("\x1b[{}m{text}\x1b[0m", colour.code()) } else { text.to_owned() }
}

/// Removes escape sequences for colours and cursor movements (ECMA-48).
pub(super) fn without_colour(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, sequence)) = rest.split_once("\x1b[") {
        out.push_str(before);
        let end = sequence.find(|c: char| ('\x40'..='\x7e').contains(&c));
        rest = end.map_or("", |end| &sequence[end + 1..]);
    }
    out + rest
}

/// Removes line breaks and control characters from a text of others.
pub(super) fn sanitise(text: &str) -> String {
    sanitise::mark(text).into_owned()
}

/// The colours that we write: those of [`paint`], their reset, and black on white for a QR code.
const OWN_COLOURS: [&str; 9] = ["0", "31", "32", "33", "34", "35", "36", "90", "30;107"];

/// Removes all control sequences except our own colours.
pub(super) fn without_foreign_codes(text: &str) -> String {
    let mut pieces = text.split("\x1b[");
    let mut out = sanitise::text(pieces.next().unwrap_or_default()).into_owned();
    for piece in pieces {
        let own = piece.split_once('m').filter(|(code, _)| OWN_COLOURS.contains(code));
        if let Some((code, _)) = own {
            out.push_str(&format!("\x1b[{code}m"));
        }
        out.push_str(&sanitise::text(own.map_or(piece, |(_, rest)| rest)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\x1b]0;owned\x07\x1b[2J\x1b[8m\u{9b}31m\u{202e}b\u{2066}c";

    #[test]
    fn nothing_but_our_own_colours_reaches_the_terminal() {
        let painted = paint(HOSTILE, Colour::Red, true);
        assert_eq!(without_foreign_codes(&painted), "\x1b[31ma]0;owned2J8m31mbc\x1b[0m");
        assert_eq!(without_foreign_codes("a\n\tb"), "a\n\tb");
        for colour in [
            Colour::Red,
            Colour::Green,
            Colour::Yellow,
            Colour::Blue,
            Colour::Magenta,
            Colour::Cyan,
            Colour::Grey,
        ] {
            let painted = paint("x", colour, true);
            assert_eq!(without_foreign_codes(&painted), painted);
        }
        assert_eq!(without_foreign_codes("\x1b[30;107m█\x1b[0m"), "\x1b[30;107m█\x1b[0m");
    }

    #[test]
    fn a_text_of_others_is_one_line() {
        assert_eq!(
            sanitise("one\nlauncher: all is well\u{2028}two"),
            "one\u{fffd}launcher: all is well\u{fffd}two"
        );
    }
}
