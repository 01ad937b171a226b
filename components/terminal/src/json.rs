//! The chat for programs: one JSON object a line in both directions. `docs/terminal.md` shows them all.
//!
//! JSON escapes what could steer a terminal, so texts stand here as they are.

use protocol::native::Send;
use protocol::{Body, ClientId, MessageType, Metadata, UserName};
use serde::{Deserialize, Serialize};

use crate::clean;
use crate::history::Record;
use crate::item::{Item, Link};

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Output<'a> {
    Message(Record<'a>),
    Said(Record<'a>),
    Sent {
        online: bool,
        #[serde(flatten)]
        message: Record<'a>,
    },
    Refused {
        reason: &'a str,
        #[serde(flatten)]
        message: Record<'a>,
    },
    Connected {
        server: &'a str,
        name: &'a str,
        online: &'a [String],
        again: bool,
    },
    Disconnected {
        reason: &'a str,
        waiting: usize,
    },
    Presence {
        name: &'a str,
        online: bool,
    },
    Answer {
        text: &'a str,
    },
    Notice {
        text: &'a str,
    },
    Error {
        text: &'a str,
    },
}

/// An item as one line; nothing for what helps only people.
pub(crate) fn line(item: &Item) -> Option<String> {
    let record = Record::from;
    let output = match item {
        Item::News(entry) | Item::Past(entry) => Output::Message(record(entry)),
        Item::Said(entry) => Output::Said(record(entry)),
        Item::Stored { entry, online, .. } => Output::Sent { online: *online, message: record(entry) },
        Item::Refused { entry, reason } => Output::Refused { reason, message: record(entry) },
        Item::Link(link) => self::link(link),
        Item::Presence { name, online, .. } => Output::Presence { name, online: *online },
        Item::Answer(text) => Output::Answer { text },
        Item::Notice(text) | Item::Trouble(text) => Output::Notice { text },
        Item::Error(text) => Output::Error { text },
        Item::Hint(_) => return None,
    };
    Some(format!("{}\n", clean::json(&output)))
}

fn link(link: &Link) -> Output<'_> {
    match link {
        Link::Up { server, me, online, .. } => Output::Connected { server, name: me, online, again: false },
        Link::Again { server, me, online } => Output::Connected { server, name: me, online, again: true },
        Link::Lost { reason, waiting } | Link::Unreachable { reason, waiting, .. } => {
            Output::Disconnected { reason, waiting: *waiting }
        }
    }
}

/// What a program says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    to: UserName,
    body: Body,
    #[serde(default)]
    kind: MessageType,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default = "ClientId::fresh")]
    client_id: ClientId,
}

/// Reads `{"to":"bob","body":"hi"}`, with `kind`, `metadata` and `client_id` where the program has its own.
pub(crate) fn order(line: &str) -> Result<Send, String> {
    let order: Order = serde_json::from_str(line).map_err(|error| {
        format!("{error}; a message is {{\"to\":\"bob\",\"body\":\"hi\"}}, with kind, metadata and client_id if you like")
    })?;
    let Order { to, body, kind, metadata, client_id } = order;
    Ok(Send { client_id, to, body, kind, metadata, timestamp: None, trace: false })
}

/// Whether a line is meant as such a message.
pub(crate) fn is_order(line: &str) -> bool {
    line.trim_start().starts_with('{')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::entry::{Entry, State};
    use protocol::Timestamp;

    #[test]
    fn a_message_is_one_line_whatever_it_holds() {
        let entry = Entry {
            row: 7,
            place: 0,
            partner: "bob".to_owned(),
            outgoing: false,
            text: "a\nb \u{1b}[2J \"c\"".to_owned(),
            said: Timestamp::parse("2026-11-20T12:03:00Z").unwrap(),
            state: State::Stored,
            seq: Some(3),
            kind: MessageType::Chat,
            metadata: Metadata::default(),
            client_id: None,
        };
        assert_eq!(
            line(&Item::News(entry)).unwrap(),
            "{\"type\":\"message\",\"id\":7,\"with\":\"bob\",\"direction\":\"in\",\"timestamp\":\"2026-11-20T12:03:00.000000+00:00\",\
             \"state\":\"stored\",\"seq\":3,\"kind\":\"chat\",\"body\":\"a\\nb \\u001b[2J \\\"c\\\"\"}\n"
        );
        assert_eq!(line(&Item::Hint("x".into())), None);
    }

    #[test]
    fn a_program_says_things_under_its_own_ids() {
        let send = order(r#"{"to":"bob","body":"hi","client_id":"job-7","metadata":{"n":1}}"#).unwrap();
        assert_eq!((send.to.as_str(), send.body.as_str(), send.client_id.as_str()), ("bob", "hi", "job-7"));
        assert!(order(r#"{"to":"bob"}"#).unwrap_err().contains("missing field `body`"));
        assert!(order(r#"{"to":"a b","body":"x"}"#).is_err());
        assert!(is_order(" {}") && !is_order("bob: {}"));
    }
}
