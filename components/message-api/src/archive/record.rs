//! The lines of a backup.

use protocol::api::{BackupTotals, CursorMove, User};
use protocol::{ConversationId, Event, Timestamp, UserName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version of the format.
pub(super) const VERSION: u32 = 1;

/// One line. In this order: `backup`, all `user`, all `state`; then for each conversation `conversation`, its events in order of `seq`, and
/// `log`; then `end`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// The first line.
    Backup {
        /// The version of the format.
        version: u32,
        /// When the backup began.
        at: Timestamp,
    },
    /// A registered user, in order of first registration.
    User(User),
    /// A value that a service stores.
    State {
        /// The service.
        owner: UserName,
        /// Its key.
        key: String,
        /// The value.
        value: Value,
    },
    /// The events of this conversation follow.
    Conversation {
        /// The conversation.
        id: ConversationId,
        /// The cursors of its users and of their devices.
        cursors: Vec<CursorMove>,
    },
    /// An event of this conversation.
    Event(Box<Event>),
    /// The conversation's log is complete.
    Log {
        /// The number of its events.
        events: u64,
        /// The SHA-256 of the events, each as JSON and a newline, in hexadecimal.
        sha256: String,
    },
    /// The last line.
    End {
        /// What was written in total.
        totals: BackupTotals,
        /// The SHA-256 of every byte before this line, in hexadecimal.
        sha256: String,
    },
}
