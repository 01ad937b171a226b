//! The open file.

use rusqlite::Connection;

/// An open history.
#[derive(Debug)]
pub(crate) struct History {
    pub(crate) connection: Connection,
    /// The current server; waiting messages and log positions belong to one server.
    pub(crate) server: Option<String>,
    /// Why the history is kept only in memory, if so.
    pub(crate) trouble: Option<String>,
}
