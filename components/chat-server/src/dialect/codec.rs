//! The interface of a dialect. Each dialect implements it in a file of its own.
//!
//! The life of a connection: [`Capabilities::prompt`] → [`Codec::identify`] until the client is identified → [`Codec::greeting`] → for each
//! message [`Codec::interpret`] → [`Codec::outcome`] or [`Codec::reply`]; meanwhile [`Codec::live`], [`Codec::replayed`] and
//! [`Codec::notice`].

use std::fmt::Display;
use std::time::Duration;

use bytes::Bytes;
use protocol::native::{ConversationSummary, Durability, Trace};
use protocol::{Event, UserName};
use uuid::Uuid;

use super::framing::{LooksWhole, Message};
use super::request::{NewMessage, Request, Seen, TraceRequest};
use crate::outcome::{Outcome, SentMessage};

/// All dialects use these payloads of the native dialect.
pub(crate) use protocol::native::{Device, Hello, HistoryPage};

/// What a dialect can express.
#[derive(Debug)]
pub(crate) struct Capabilities {
    /// Its name in traces.
    pub(crate) name: &'static str,
    /// Sent to a connection before it has sent anything.
    pub(crate) prompt: &'static str,
    /// The first byte that selects it on a shared port.
    pub(crate) first_byte: Option<u8>,
    /// Set if silence ends a message as a newline does; recognises complete messages.
    pub(crate) silence: Option<LooksWhole>,
    /// What its greeting lists.
    pub(crate) lists: Lists,
    /// Messages and events have ids, so that duplicates are recognised.
    pub(crate) has_ids: bool,
    /// Its sessions show what their user sends and reads in other sessions.
    pub(crate) mirrors: bool,
    /// How the server learns that an event was shown.
    pub(crate) receipts: Receipts,
    /// Clients are prompted for the next line after each answer, with [`Codec::prompt`].
    pub(crate) asks: bool,
}

/// How the server learns that an event was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Receipts {
    /// The peer's TCP acknowledged its last byte.
    Transport,
    /// The client says so.
    Client,
}

/// The lists that a greeting needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lists {
    /// All users online: [`Greeting::online_text`].
    Online,
    /// All registered users: [`Greeting::registered`].
    Registered,
    /// The user's conversations and the users online: [`Greeting::conversations`], [`Greeting::online`].
    Conversations,
}

/// The content of a greeting. Lists that the dialect did not ask for with [`Lists`] are empty.
pub(crate) struct Greeting<'a> {
    /// The approximate maximum size of its lists. What does not fit is left out, and counted if the dialect can say so.
    pub(crate) max_bytes: usize,
    /// The user, as their first session wrote the name.
    pub(crate) name: &'a UserName,
    /// Grants access to the name to further sessions.
    pub(crate) token: &'a str,
    /// All users online in order of login, this user last, as text.
    pub(crate) online_text: &'a str,
    /// The same as names.
    pub(crate) online: Vec<UserName>,
    /// All registered users, including this one; all users online if the store does not answer.
    pub(crate) registered: Box<dyn Iterator<Item = &'a UserName> + 'a>,
    /// The user's conversations, most recent first.
    pub(crate) conversations: Vec<ConversationSummary>,
    /// What "stored" means.
    pub(crate) durability: Durability,
    /// The id of the store's log.
    pub(crate) log: Option<Uuid>,
}

/// The result of a message before the login.
#[derive(Debug)]
pub(crate) enum LoginStep {
    /// The client is identified.
    Identified(Box<Hello>),
    /// Answer with this, and wait for the next message.
    Retry(Bytes),
    /// A trace request. Services may make it without a login.
    Trace(TraceRequest),
    /// Reject the connection with this.
    Rejected(Bytes),
}

/// Why a login is rejected.
pub(crate) enum Refusal<'a> {
    /// The client did not identify itself.
    Unnamed,
    /// Too much incomplete input; with the message for the client.
    Unfinished(&'a str),
    /// Too many logins from the address; with the message and the time until the next one.
    RateLimited(&'a str, Duration),
    /// The name is invalid, or cannot be used now.
    BadName(&'a dyn Display),
    /// Somebody else is online under this name.
    Taken(&'a UserName),
    /// The name is protected, and what was shown does not open it.
    Protected(&'a UserName),
    /// The name is reserved for a service.
    Reserved(&'a UserName),
    /// The user has the maximum number of sessions.
    TooMany(&'a UserName),
}

/// An answer that only some dialects need.
#[derive(Debug)]
pub(crate) enum Reply {
    Pong(Option<u64>),
    /// The trace of a message, if it is still known.
    Trace(Option<Trace>),
    /// A page of a conversation, to be rendered within this many bytes; the newest message is always included.
    History(HistoryPage, usize),
    /// The store could not answer now.
    Unavailable,
}

/// Something sent to a session without a request.
pub(crate) enum Notice<'a> {
    /// All unread messages have been sent; live messages follow.
    Live,
    /// Another session of the user has shown a conversation up to here.
    Seen(Seen),
    /// The other user has a conversation up to here.
    Delivered(Seen),
    /// A user came online or went offline.
    Presence(UserName, bool),
    /// Unread messages cannot be read; with the message for the user.
    Unreadable(&'a str),
    /// Too much incomplete input; with the message for the client. The session ends.
    Unfinished(&'a str),
    /// The server ends the session for this reason; the client may reconnect after this many milliseconds.
    Bye(&'a str, u64),
}

/// Parses and renders one dialect.
pub(crate) trait Codec: Sync {
    fn capabilities(&self) -> &'static Capabilities;

    /// Interprets a message before the login.
    fn identify(&self, message: Message) -> LoginStep;

    /// Renders a rejected login.
    fn refusal(&self, why: &Refusal<'_>) -> Bytes;

    /// Renders the greeting.
    fn greeting(&self, greeting: Greeting<'_>) -> Bytes;

    /// Interprets a message of a user.
    fn interpret(&self, user: &UserName, message: Message) -> Request;

    /// Renders the answer to a message. `online` says whether its recipient is.
    fn outcome(&self, sent: &SentMessage, outcome: Outcome, online: bool) -> Option<Bytes>;

    /// Renders a live event.
    fn live(&self, event: &Event) -> Bytes;

    /// Renders an event read from the store; `stored_offline` means that it was stored while the user was offline.
    fn replayed(&self, event: &Event, stored_offline: bool) -> Bytes;

    /// Renders a notice, if this dialect has one.
    fn notice(&self, notice: Notice<'_>) -> Option<Bytes>;

    /// Renders a [`Reply`]. Dialects without such requests render nothing.
    fn reply(&self, _reply: Reply) -> Bytes {
        Bytes::new()
    }

    /// The line before the first event that was stored while the user was offline.
    fn stored_header(&self) -> &'static str {
        ""
    }

    /// The prompt after each answer if [`Capabilities::prompts`], with the other users online.
    fn prompt(&self, _others: &mut dyn Iterator<Item = &UserName>) -> Prompt {
        Prompt::default()
    }

    /// The lookup of [`Request::Lookup`], in dialects that need it.
    fn lookup(&self) -> Option<&dyn Lookup> {
        None
    }
}

/// A prompt for the next line.
#[derive(Debug, Default)]
pub(crate) struct Prompt {
    /// The other users online; its length grows with their number.
    pub(crate) online: String,
    pub(crate) question: &'static str,
}

/// The meaning of a line after its lookup.
#[derive(Debug)]
pub(crate) enum Resolved {
    /// Store a message.
    Message(Box<NewMessage>),
    /// Invalid input: only this error is returned.
    Invalid(Bytes),
}

/// A dialect in which the meaning of a line depends on who is registered.
pub(crate) trait Lookup: Sync {
    /// The names that may occur in the line.
    fn candidates(&self, line: &str) -> Vec<UserName>;

    /// The meaning of the line, given who is registered.
    fn resolve(&self, user: &UserName, line: &str, is_known: &dyn Fn(&UserName) -> bool) -> Resolved;

    /// The answer if the lookup failed.
    fn unresolved(&self) -> Bytes;
}
