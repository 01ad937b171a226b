//! What the user does.

use crate::history::entry::Entry;

/// Lines that were typed and not dealt with yet. Overflow rule: the editor, or the pipe, waits.
pub(crate) const QUEUE: usize = 64;

/// What the user did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    /// Entered a line.
    Line(String),
    /// Piped a line longer than any message; it was skipped.
    TooLong,
    /// Did something on the screen.
    Acts(Vec<Act>),
    /// Pressed ctrl-C.
    Interrupt,
    /// Pressed ctrl-D, or the pipe ended.
    End,
    /// Nothing can be read any more, for this reason.
    Failed(String),
}

/// What the user wants that the screen cannot do alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// Do what this line says.
    Line(String),
    /// Open a conversation.
    Open(String),
    /// Open a conversation where this message stands.
    Find(Entry),
    /// Load more of the open conversation from what is kept.
    Older,
    /// Ask the server for what lies before this place of the open conversation.
    Ask(Option<u64>),
    /// Ctrl-C.
    Interrupt,
    /// Leave.
    Leave,
    /// Stop until the shell lets us go on.
    Suspend,
    /// Use the mouse, or leave it to the terminal.
    Mouse(bool),
    /// Draw everything again.
    Redraw,
}

/// What happened at the user's end.
#[derive(Debug)]
pub(crate) enum Happening {
    /// The user did something.
    Typed(Typed),
    /// Something was shown.
    Shown,
}
