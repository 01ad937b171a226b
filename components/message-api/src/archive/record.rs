//! What stands in a line of a backup.

use protocol::api::{BackupTotals, CursorMove, User};
use protocol::{ConversationId, Event, Timestamp, UserName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The layout of the lines.
pub(super) const VERSION: u32 = 1;

/// One line. In this order: `backup`, all `user`, all `state`; then for each conversation `conversation`, its events in the order of
/// `seq`, and `log`; then `end`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// The first line.
    Backup {
        /// The layout of the lines.
        version: u32,
        /// When it was begun.
        at: Timestamp,
    },
    /// Somebody who logged in, in order of first registration.
    User(User),
    /// What a service keeps.
    State {
        /// Whose it is.
        owner: UserName,
        /// Under which key.
        key: String,
        /// What.
        value: Value,
    },
    /// The events of this conversation follow.
    Conversation {
        /// Which.
        id: ConversationId,
        /// How far its users, and their devices, had seen it.
        cursors: Vec<CursorMove>,
    },
    /// An entry of its log.
    Event(Box<Event>),
    /// Its log is complete.
    Log {
        /// How many events there were.
        events: u64,
        /// The SHA-256 of the events, each as JSON and a newline, in hexadecimal.
        sha256: String,
    },
    /// The last line.
    End {
        /// How much there was.
        totals: BackupTotals,
        /// The SHA-256 of every byte before this line, in hexadecimal.
        sha256: String,
    },
}
