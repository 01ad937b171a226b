//! What there is to show, before it is decided how.

use crate::history::entry::Entry;
use crate::pending::preview;

/// One thing to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    /// A message that was not shown yet. Once it is, its cursor moves.
    News(Entry),
    /// What the user says; it is kept, and waits.
    Said(Entry),
    /// A message of the user's is stored. Whether its receiver was there, whether it took longer than usual, and whether the user knows
    /// that already of the one before it.
    Stored { entry: Entry, online: bool, delayed: bool, again: bool },
    /// The server will not have a message of the user's, for this reason.
    Refused { entry: Entry, reason: String },
    /// A message that was asked for.
    Past(Entry),
    /// The connection came or went.
    Link(Link),
    /// Somebody came or went; whether it is whom the user talks with.
    Presence { name: String, online: bool, partner: bool },
    /// The answer to a command.
    Answer(String),
    /// What the user should know: a message waits.
    Notice(String),
    /// What the user must not miss: the history is not kept.
    Trouble(String),
    /// What helps somebody who sits there, and nobody else.
    Hint(String),
    /// Something did not work.
    Error(String),
}

/// What became of the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Link {
    /// The first one.
    Up { server: String, me: String, online: Vec<String>, unseen: u64 },
    /// It is back.
    Again { server: String, me: String, online: Vec<String> },
    /// It is gone, for this reason; so many messages wait.
    Lost { reason: String, waiting: usize },
    /// There is none yet, and nobody knows whether there will be.
    Late { server: String, waiting: usize },
    /// There is none yet, for this reason.
    Unreachable { server: String, reason: String, waiting: usize },
}

impl Item {
    /// What is no message, as it is told to people.
    pub(crate) fn words(&self) -> Vec<Self> {
        match self {
            Self::News(_) | Self::Past(_) | Self::Said(_) => Vec::new(),
            Self::Stored { again: true, delayed: false, .. } => Vec::new(),
            Self::Stored { entry, online, delayed, .. } => {
                stored(entry, *online, *delayed).into_iter().collect()
            }
            Self::Refused { entry, reason } => {
                let (to, text) = (&entry.partner, preview(&entry.text));
                vec![Self::Error(format!("not sent to {to}: {reason} ({text})"))]
            }
            Self::Link(link) => link.words(),
            Self::Presence { name, online, partner: true } => {
                vec![Self::Hint(format!("{name} is {}", if *online { "online" } else { "offline" }))]
            }
            Self::Presence { partner: false, .. } => Vec::new(),
            Self::Trouble(text) => vec![Self::Notice(text.clone())],
            Self::Answer(_) | Self::Notice(_) | Self::Hint(_) | Self::Error(_) => vec![self.clone()],
        }
    }
}

/// What to say about a message that is stored: nothing, if it just went through.
fn stored(entry: &Entry, online: bool, delayed: bool) -> Option<Item> {
    let (to, preview) = (&entry.partner, preview(&entry.text));
    let text = match (delayed, online) {
        (false, true) => return None,
        (false, false) => format!("{to} is offline; saved"),
        (true, true) => format!("sent to {to}: {preview}"),
        (true, false) => format!("{to} is offline; saved: {preview}"),
    };
    Some(Item::Notice(text))
}

impl Link {
    fn words(&self) -> Vec<Item> {
        match self {
            Self::Up { server, me, online, unseen } => {
                let hello = format!("connected to {server} as {me}; /help shows what can be typed");
                let mut items = vec![Item::Hint(hello), Item::Hint(format!("online: {}", online.join(", ")))];
                match unseen {
                    0 => {}
                    1 => items.push(Item::Hint("1 message while you were offline:".to_owned())),
                    n => items.push(Item::Hint(format!("{n} messages while you were offline:"))),
                }
                items
            }
            Self::Again { .. } => vec![Item::Notice("reconnected".to_owned())],
            Self::Lost { reason, waiting } => {
                vec![Item::Notice(format!("connection lost ({reason}); reconnecting{}", wait(*waiting)))]
            }
            Self::Late { server, waiting } => {
                vec![Item::Hint(format!("{server} has not answered yet; still trying{}", wait(*waiting)))]
            }
            Self::Unreachable { server, reason, waiting } => {
                vec![Item::Notice(format!("cannot reach {server} ({reason}); retrying{}", wait(*waiting)))]
            }
        }
    }
}

fn wait(waiting: usize) -> String {
    match waiting {
        0 => String::new(),
        1 => "; 1 message waits".to_owned(),
        n => format!("; {n} messages wait"),
    }
}
