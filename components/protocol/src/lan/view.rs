//! The API of a peer's own page and terminal: bodies of `/api/v1/…` and the events of `/api/v1/events`.

use serde::{Deserialize, Serialize};

use super::peer::{NodeId, PeerKey};
use crate::Timestamp;

/// How far a peer's identity is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// A legacy peer: unverified, unencrypted.
    #[serde(rename = "clear")]
    Unencrypted,
    /// Encrypted; the key was taken on first use.
    New,
    /// Encrypted; the users compared fingerprints.
    Verified,
    /// Encrypted, but another key was known under this name: nothing is sent until the users have compared fingerprints.
    Changed,
    /// Its connections are rejected.
    Blocked,
}

/// A known peer, online or offline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its identity.
    pub key: PeerKey,
    /// The name to show: the name given here, else its own, else its address.
    pub name: String,
    /// The name that the peer gives itself.
    pub claimed: Option<String>,
    /// Whether it is online now.
    pub online: bool,
    /// How far its identity is trusted.
    pub trust: Trust,
    /// The digits to compare; none for legacy peers.
    pub fingerprint: Option<String>,
    /// Its current or last known addresses.
    pub addresses: Vec<String>,
    /// When it was last online.
    pub last_seen: Option<Timestamp>,
    /// The number of messages waiting to be delivered to it.
    pub waiting: u64,
}

/// The delivery state of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// An incoming message.
    Received,
    /// Stored on our disk, to be sent once the peer is online.
    Queued,
    /// Stored on the peer's disk.
    Delivered,
    /// Sent to a legacy peer, which does not acknowledge messages.
    Sent,
    /// A legacy peer could not be reached; not retried.
    Failed,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its row in our history; increases with time.
    pub row: i64,
    /// The peer of the conversation.
    pub peer: PeerKey,
    /// The text.
    pub body: String,
    /// When it was written, by the sender's clock; for legacy peers, when it arrived.
    pub sent: Timestamp,
    /// What became of it.
    pub state: State,
    /// Our note about faults of the message: cut, not UTF-8, incomplete.
    pub remark: Option<String>,
}

/// This node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Me {
    /// Its identity.
    pub id: NodeId,
    /// Its display name.
    pub name: String,
    /// The fingerprint that others compare.
    pub fingerprint: String,
    /// The content of its QR code.
    pub link: String,
}

/// This node and all peers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overview {
    /// This node.
    pub me: Me,
    /// All known peers, online ones first.
    pub peers: Vec<Peer>,
}

/// An event of `/api/v1/events`, named by its `type`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Event {
    /// A message arrived, or its delivery state changed.
    Message {
        /// The message as it is now.
        entry: Entry,
    },
    /// The list of peers changed: load it again.
    Peers,
    /// Events were missed: load everything again.
    Lagged,
}

/// The body of `POST /api/v1/send`. The answer is an [`Entry`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Send {
    /// The recipient.
    pub peer: PeerKey,
    /// The text.
    pub text: String,
    /// Send it unencrypted to a legacy peer although the address belonged to a node, whose messages are encrypted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unencrypted: bool,
}

/// The body of `POST /api/v1/trust`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetTrust {
    /// The peer concerned.
    pub peer: NodeId,
    /// The user's decision.
    pub verdict: Verdict,
    /// For `verified`: the fingerprint or link that came from the peer itself; a mismatch is an error.
    pub proof: Option<String>,
}

/// The user's decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The fingerprints match.
    Verified,
    /// Not (or no longer) compared, but messages are allowed.
    New,
    /// Reject its connections.
    Blocked,
}

/// The body of `POST /api/v1/rename`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rename {
    /// The peer concerned.
    pub peer: PeerKey,
    /// The name to show; empty for the peer's own name.
    pub name: String,
}

/// The result of a doctor check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Finding {
    /// No problem found.
    Good,
    /// Worth knowing.
    Note,
    /// A problem that prevents finding peers.
    Bad,
}

/// One check of the doctor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The result.
    pub finding: Finding,
    /// What was checked, and the observation.
    pub what: String,
    /// What the user can do.
    pub advice: Option<String>,
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Human-readable reason.
    pub detail: String,
}
