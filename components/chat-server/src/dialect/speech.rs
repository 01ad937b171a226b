//! What every dialect can do. Each does it in a file of its own; this one says what the rest of the server may rely on.
//!
//! The life of a connection: [`Manner::prompt`] → [`Speech::identify`], until somebody is known → [`Speech::greeting`] → for each
//! message [`Speech::interpret`] → [`Speech::outcome`] or [`Speech::reply`]; meanwhile [`Speech::live`], [`Speech::replayed`] and
//! [`Speech::notice`].

use std::fmt::Display;
use std::time::Duration;

use bytes::Bytes;
use protocol::native::{ConversationSummary, Durability, Trace};
use protocol::{Event, UserName};
use uuid::Uuid;

use super::framing::{LooksWhole, Message};
use super::request::{Outgoing, Request, Seen, TraceRequest};
use crate::outcome::{Outcome, Said};

/// What the frames of the native dialect are made of serves the others, too.
pub(crate) use protocol::native::{Device, Hello, HistoryPage};

/// What a dialect can say and what not.
#[derive(Debug)]
pub(crate) struct Manner {
    /// What traces call it.
    pub(crate) name: &'static str,
    /// What a connection is asked before it says anything.
    pub(crate) prompt: &'static str,
    /// The byte that tells it on a port where several are spoken.
    pub(crate) first_byte: Option<u8>,
    /// Where a moment of silence ends a message as a newline does: what tells a message from a part of one.
    pub(crate) silence: Option<LooksWhole>,
    /// What its greeting lists.
    pub(crate) lists: Lists,
    /// Messages and events have ids: what is sent twice is known to be the same.
    pub(crate) has_ids: bool,
    /// It shows what its user says and reads in other sessions.
    pub(crate) mirrors: bool,
    /// How it is known that an event was shown.
    pub(crate) receipts: Receipts,
    /// Clients are asked for the next line behind each answer, with [`Speech::prompt`].
    pub(crate) asks: bool,
}

/// How it is known that an event was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Receipts {
    /// The peer's TCP acknowledged its last byte.
    Transport,
    /// The client says so.
    Client,
}

/// What a greeting lists, which is read for it before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lists {
    /// Everybody online: [`Greeting::listing`].
    Listing,
    /// Everybody who ever registered: [`Greeting::everybody`].
    Everybody,
    /// The user's conversations, and who is online: [`Greeting::conversations`], [`Greeting::online`].
    Conversations,
}

/// What a greeting may tell. What was not asked for with [`Lists`] is empty.
pub(crate) struct Greeting<'a> {
    /// Who came, as their first session wrote it.
    pub(crate) name: &'a UserName,
    /// Opens the name to further sessions.
    pub(crate) token: &'a str,
    /// Everybody online in the order they came, the newcomer last, as a text.
    pub(crate) listing: &'a str,
    /// The same as names.
    pub(crate) online: Vec<UserName>,
    /// Everybody who ever registered, the newcomer included; everybody online while the store does not answer.
    pub(crate) everybody: Box<dyn Iterator<Item = &'a UserName> + 'a>,
    /// The user's conversations, those that moved last first.
    pub(crate) conversations: Vec<ConversationSummary>,
    /// What "stored" means.
    pub(crate) durability: Durability,
    /// Which log the store keeps.
    pub(crate) log: Option<Uuid>,
}

/// What a message says before its sender is known.
#[derive(Debug)]
pub(crate) enum Step {
    /// Who is there.
    Is(Box<Hello>),
    /// Nothing that helps: this is answered, and the next message is waited for.
    Again(Bytes),
    /// Somebody only wants to know where a message has been. Services may.
    Asks(TraceRequest),
    /// It cannot be; this is answered last.
    Refused(Bytes),
}

/// Why somebody does not come in.
pub(crate) enum Refusal<'a> {
    /// They did not say who they are.
    Unnamed,
    /// What they sent and did not finish is too much, in these words.
    Unfinished(&'a str),
    /// Their address logs in too often, in these words; after this time once more.
    TooOften(&'a str, Duration),
    /// The name cannot be, or not now.
    BadName(&'a dyn Display),
    /// Somebody else is online under this name.
    Taken(&'a UserName),
    /// The name belongs to a service.
    Reserved(&'a UserName),
    /// This user has as many sessions as one may have.
    TooMany(&'a UserName),
}

/// The answer to what only some dialects can ask.
#[derive(Debug)]
pub(crate) enum Reply {
    /// To a sign of life.
    Pong(Option<u64>),
    /// Where a message has been, if that is remembered.
    Trace(Option<Trace>),
    /// A page of a conversation, of which so many bytes may be said; the newest message is always said.
    History(HistoryPage, usize),
    /// The store could not answer now.
    AskAgain,
}

/// What a session is told without having asked.
pub(crate) enum Notice<'a> {
    /// Everything unread has been sent; what comes now happens now.
    Live,
    /// Another session of the user has shown a conversation up to here.
    Seen(Seen),
    /// The other user has a conversation up to here.
    Delivered(Seen),
    /// Somebody came or went.
    Presence(UserName, bool),
    /// Unread messages cannot be read, in these words.
    Unreadable(&'a str),
    /// What the client sent and did not finish is too much, in these words; the session ends.
    Unfinished(&'a str),
    /// The server ends the session, for this reason; the client may come back after so many milliseconds.
    Bye(&'a str, u64),
}

/// How a dialect is spoken.
pub(crate) trait Speech: Sync {
    /// What it can say and what not.
    fn manner(&self) -> &'static Manner;

    /// What a message before the login says.
    fn identify(&self, message: Message) -> Step;

    /// The last words to somebody who does not come in.
    fn refusal(&self, why: &Refusal<'_>) -> Bytes;

    /// The first words to somebody who is in.
    fn greeting(&self, greeting: Greeting<'_>) -> Bytes;

    /// What a message of a user's asks for.
    fn interpret(&self, user: &UserName, message: Message) -> Request;

    /// What the sender of a message is told. `online` says whether its receiver is.
    fn outcome(&self, said: &Said, outcome: Outcome, online: bool) -> Option<Bytes>;

    /// An event as it happens.
    fn live(&self, event: &Event) -> Bytes;

    /// An event that is read from the store; `kept` says that it was kept for a user who was offline.
    fn replayed(&self, event: &Event, kept: bool) -> Bytes;

    /// What a session is told without having asked, if this dialect has words for it.
    fn notice(&self, notice: Notice<'_>) -> Option<Bytes>;

    /// The answer to something else than a message. Where nothing else can be asked, there is none.
    fn reply(&self, _reply: Reply) -> Bytes {
        Bytes::new()
    }

    /// What stands once before the first event that was kept.
    fn kept_header(&self) -> &'static str {
        ""
    }

    /// What is asked behind each answer where [`Manner::asks`], and who else is online.
    fn prompt(&self, _others: &mut dyn Iterator<Item = &UserName>) -> Prompt {
        Prompt::default()
    }

    /// How to go on with [`Request::Lookup`], where there is such a thing.
    fn lookup(&self) -> Option<&dyn Lookup> {
        None
    }
}

/// What is asked behind an answer.
#[derive(Debug, Default)]
pub(crate) struct Prompt {
    /// Who else is online. As long as there are people.
    pub(crate) online: String,
    /// The question.
    pub(crate) question: &'static str,
}

/// What a line means that was looked up.
#[derive(Debug)]
pub(crate) enum Resolved {
    /// Something is said.
    Say(Box<Outgoing>),
    /// Nothing more than this answer, which says what was wrong.
    Mistake(Bytes),
}

/// A dialect in which it depends on who is registered what a line means.
pub(crate) trait Lookup: Sync {
    /// The names that the line may mean.
    fn candidates(&self, line: &str) -> Vec<UserName>;

    /// What the line means, when it is known who is registered.
    fn resolve(&self, user: &UserName, line: &str, is_known: &dyn Fn(&UserName) -> bool) -> Resolved;

    /// The answer when that could not be found out.
    fn unresolved(&self) -> Bytes;
}
