//! What the operator reads: lines on standard output, complaints on standard error.
//!
//! Writing never fails: when nobody reads any more, there is nobody to tell. Colour only on a terminal, and not with `NO_COLOR`.

use std::io::{IsTerminal, Write};

use protocol::sanitise;

/// Writes a line for the operator.
pub(super) fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Writes lines as they are; false when nobody reads any more.
pub(super) fn raw(bytes: &[u8]) -> bool {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).is_ok()
}

/// Says what went wrong.
pub(super) fn error(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "launcher: {text}");
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
    /// For what is secondary.
    Grey,
}

impl Colour {
    /// Colours that tell neighbours apart.
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

/// The columns and rows of the terminal that standard output is, if it is one.
pub(super) fn terminal_size() -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    // Some say nothing of themselves.
    let or = |value: u16, usual: usize| if value == 0 { usual } else { usize::from(value) };
    Some((or(size.ws_col, 80), or(size.ws_row, 24)))
}

/// Whether standard output is to be coloured.
pub(super) fn is_coloured() -> bool {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    wanted && std::env::var_os("TERM").is_none_or(|term| term != "dumb") && std::io::stdout().is_terminal()
}

/// A text in a colour, where there is colour.
pub(super) fn paint(text: &str, colour: Colour, coloured: bool) -> String {
    if coloured { format!("\x1b[{}m{text}\x1b[0m", colour.code()) } else { text.to_owned() }
}

/// Takes the sequences out by which a program colours its text and moves the cursor (ECMA-48).
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

/// Keeps text of other programs from steering the terminal.
pub(super) fn tame(text: &str) -> String {
    sanitise::mark(text).into_owned()
}
