//! What there is to show, before it is decided how.

use protocol::Event;

/// One thing to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    /// A message that was not shown yet. Once it is, its cursor moves.
    Event(Event),
    /// A message that was asked for.
    Past(Event),
    /// The answer to a command.
    Answer(String),
    /// What the user should know: the connection is gone, somebody is offline.
    Notice(String),
    /// What helps somebody who sits there, and nobody else.
    Hint(String),
    /// Something did not work.
    Error(String),
}
