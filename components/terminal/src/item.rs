//! Items to show, independent of their presentation.

use crate::history::entry::Entry;
use crate::pending::preview;

/// One thing to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    /// A new message. Once it is shown, its cursor moves.
    News(Entry),
    /// A message of the user, saved and waiting.
    Sent(Entry),
    /// A message of the user was stored: whether the recipient is online, whether it took longer than usual, and whether the previous
    /// message already showed the recipient as offline.
    Stored { entry: Entry, online: bool, delayed: bool, again: bool },
    /// The server rejected a message of the user, for this reason.
    Refused { entry: Entry, reason: String },
    /// A message of the history that the user requested.
    Past(Entry),
    /// The connection changed.
    Link(Link),
    /// A user went online or offline; `partner` if it is the current partner.
    Presence { name: String, online: bool, partner: bool },
    /// The answer to a command.
    Answer(String),
    /// Information, such as that a message waits.
    Notice(String),
    /// A warning, such as that the history is not saved.
    Trouble(String),
    /// A hint for interactive users only.
    Hint(String),
    /// An error.
    Error(String),
}

/// A change of the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Link {
    /// Connected for the first time.
    Up { server: String, me: String, online: Vec<String>, unseen: u64 },
    /// Reconnected.
    Again { server: String, me: String, online: Vec<String> },
    /// Lost, with the reason and the number of waiting messages.
    Lost { reason: String, waiting: usize },
    /// Not connected yet, without a result.
    Late { server: String, waiting: usize },
    /// Not connected yet, for this reason.
    Unreachable { server: String, reason: String, waiting: usize },
}

impl Item {
    /// Items other than messages, as text for people.
    pub(crate) fn words(&self) -> Vec<Self> {
        match self {
            Self::News(_) | Self::Past(_) | Self::Sent(_) => Vec::new(),
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

/// The text about a stored message; `None` if it was delivered as usual.
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
