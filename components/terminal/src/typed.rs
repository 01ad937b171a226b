//! User input.

use crate::history::entry::Entry;

/// Most unprocessed inputs. Overflow rule: the editor or the pipe waits.
pub(crate) const QUEUE: usize = 64;

/// A user input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    /// Entered a line.
    Line(String),
    /// A piped line longer than any message; it was skipped.
    TooLong,
    /// Actions on the full screen.
    Acts(Vec<Act>),
    /// Pressed ctrl-C.
    Interrupt,
    /// Pressed ctrl-D, or the pipe ended.
    End,
    /// Input failed, for this reason.
    Failed(String),
}

/// A user's action that the screen cannot do alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// Process this line.
    Line(String),
    /// Open a conversation.
    Open(String),
    /// Open a conversation at this message.
    Find(Entry),
    /// Load older messages of the open conversation from the history.
    Older,
    /// Request messages before this `seq` of the open conversation from the server.
    Ask(Option<u64>),
    /// Ctrl-C.
    Interrupt,
    /// Leave.
    Leave,
    /// Suspend this process.
    Suspend,
    /// Use the mouse, or leave it to the terminal.
    Mouse(bool),
    /// Draw everything again.
    Redraw,
}

/// An event of the user interface.
#[derive(Debug)]
pub(crate) enum Happening {
    /// User input.
    Typed(Typed),
    /// Output was shown.
    Shown,
}
