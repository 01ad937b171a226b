//! What a peer tells its own page and terminal: bodies of `/api/v1/…` and of the events on `/api/v1/events`.

use serde::{Deserialize, Serialize};

use super::peer::{NodeId, PeerKey};
use crate::Timestamp;

/// How far somebody is believed to be who they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// Of the old kind: unverified, unencrypted.
    Clear,
    /// Encrypted; the key was taken on first use.
    New,
    /// Encrypted; the key was compared by people.
    Verified,
    /// Encrypted, but somebody else was known under this name: nothing is sent until people have compared.
    Changed,
    /// Turned away.
    Blocked,
}

/// Somebody on the network, now or before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Who.
    pub key: PeerKey,
    /// What to call them: the name given here, else the one they give themselves, else their address.
    pub name: String,
    /// What they call themselves.
    pub claimed: Option<String>,
    /// Whether they are there now.
    pub online: bool,
    /// How far they are believed.
    pub trust: Trust,
    /// The digits to compare; none for the old kind.
    pub fingerprint: Option<String>,
    /// Where they are, or were last.
    pub addresses: Vec<String>,
    /// When they were heard last.
    pub last_seen: Option<Timestamp>,
    /// How many messages to them wait.
    pub waiting: u64,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It came in.
    Received,
    /// It is on our disk and goes out when the peer is there.
    Queued,
    /// It is on the peer's disk.
    Delivered,
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
    /// Said by us about how it came: cut, not UTF-8, never finished.
    pub remark: Option<String>,
}

/// This node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Me {
    /// Who.
    pub id: NodeId,
    /// What it calls itself.
    pub name: String,
    /// The digits for others to compare.
    pub fingerprint: String,
    /// What its QR code says.
    pub link: String,
}

/// Us and everybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overview {
    /// This node.
    pub me: Me,
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
    /// Send it to a peer of the old kind although the address was one of our nodes', whose messages are encrypted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unencrypted: bool,
}

/// The body of `POST /api/v1/trust`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetTrust {
    /// Whom.
    pub peer: NodeId,
    /// What people have found.
    pub verdict: Verdict,
    /// For `verified`: digits or a link that came from the peer itself; a mismatch is an error.
    pub proof: Option<String>,
}

/// What people have found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The digits are the same.
    Verified,
    /// Not compared (any more), but they may be talked to.
    New,
    /// Turn them away.
    Blocked,
}

/// The body of `POST /api/v1/rename`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rename {
    /// Whom.
    pub peer: PeerKey,
    /// What to call them; empty for what they call themselves.
    pub name: String,
}

/// How a check of the doctor ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Finding {
    /// As it should be.
    Good,
    /// Worth knowing.
    Note,
    /// A reason why nobody is found.
    Bad,
}

/// One check of the doctor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// How it ended.
    pub finding: Finding,
    /// What was looked at, and what was seen.
    pub what: String,
    /// What to try.
    pub advice: Option<String>,
}

/// What went wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// In words.
    pub detail: String,
}
