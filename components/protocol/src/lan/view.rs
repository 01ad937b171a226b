//! What a peer tells its own page and terminal: bodies of `/api/v1/…` and of the events on `/api/v1/events`.

use serde::{Deserialize, Serialize};

use super::peer::PeerKey;
use crate::Timestamp;

/// How far somebody is believed to be who they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// Of the old kind: unverified, in the clear.
    Clear,
}

/// Somebody on the network, now or before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Who.
    pub key: PeerKey,
    /// What to call them: the name given here, else their address.
    pub name: String,
    /// Whether they are there now.
    pub online: bool,
    /// How far they are believed.
    pub trust: Trust,
    /// Where they are, or were last.
    pub addresses: Vec<String>,
    /// When they were heard last.
    pub last_seen: Option<Timestamp>,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It came in.
    Received,
    /// It was handed to a peer of the old kind, which confirms nothing.
    Sent,
    /// A peer of the old kind could not be reached; it is not tried again.
    Failed,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place in our history; grows.
    pub row: i64,
    /// With whom.
    pub peer: PeerKey,
    /// The text.
    pub body: String,
    /// When it was written, by the sender's clock; of the old kind, when it came.
    pub sent: Timestamp,
    /// What became of it.
    pub state: State,
    /// Said by us about how it came or went: cut, not UTF-8, never finished.
    pub remark: Option<String>,
}

/// Everybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overview {
    /// What this node calls itself.
    pub name: String,
    /// Everybody known, those who are there first.
    pub peers: Vec<Peer>,
}

/// An event of `/api/v1/events`, named by its `type`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Event {
    /// A message came in, or what became of one changed.
    Message {
        /// It.
        entry: Entry,
    },
    /// Peers came, went or changed: ask again.
    Peers,
    /// Events were missed: ask again for everything.
    Lagged,
}

/// The body of `POST /api/v1/send`. The answer is an [`Entry`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Send {
    /// To whom.
    pub peer: PeerKey,
    /// The text.
    pub text: String,
}

/// The body of `POST /api/v1/rename`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rename {
    /// Whom.
    pub peer: PeerKey,
    /// What to call them; empty for their address.
    pub name: String,
}

/// What went wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// In words.
    pub detail: String,
}
