//! The open file.

use rusqlite::Connection;

/// An open history.
#[derive(Debug)]
pub(crate) struct History {
    pub(crate) connection: Connection,
    /// The server that is talked to; messages wait for one server, and places in logs are those of one.
    pub(crate) server: Option<String>,
    /// Why nothing is kept beyond this process, if so.
    pub(crate) trouble: Option<String>,
}
