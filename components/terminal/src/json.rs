//! The chat for programs: one JSON object per line in both directions. `docs/terminal.md` documents them all.
//!
//! JSON escapes control characters, so texts are not filtered here.

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

/// An item as one line; `None` for hints to interactive users.
pub(crate) fn line(item: &Item) -> Option<String> {
    let record = Record::from;
    let output = match item {
        Item::News(entry) | Item::Past(entry) => Output::Message(record(entry)),
        Item::Sent(entry) => Output::Said(record(entry)),
        Item::Stored { entry, online, .. } => Output::Sent { online: *online, message: record(entry) },
        Item::Refused { entry, reason } => Output::Refused { reason, message: record(entry) },
        Item::Link(link) => self::link(link)?,
        Item::Presence { name, online, .. } => Output::Presence { name, online: *online },
        Item::Answer(text) => Output::Answer { text },
        Item::Notice(text) | Item::Trouble(text) => Output::Notice { text },
        Item::Error(text) => Output::Error { text },
        Item::Hint(_) => return None,
    };
    Some(format!("{}\n", clean::json(&output)))
}

fn link(link: &Link) -> Option<Output<'_>> {
    Some(match link {
        Link::Up { server, me, online, .. } => Output::Connected { server, name: me, online, again: false },
        Link::Again { server, me, online } => Output::Connected { server, name: me, online, again: true },
        Link::Lost { reason, waiting } | Link::Unreachable { reason, waiting, .. } => {
            Output::Disconnected { reason, waiting: *waiting }
        }
        Link::Late { .. } => return None,
    })
}

/// A message from a program.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    to: UserName,
    body: Body,
    #[serde(default)]
    kind: MessageType,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default = "ClientId::fresh")]
    client_id: ClientId,
}

/// Parses `{"to":"bob","body":"hi"}`, with optional `kind`, `metadata` and `client_id`.
pub(crate) fn parse_request(line: &str) -> Result<Send, String> {
    let request: Request = serde_json::from_str(line).map_err(|error| {
        format!("{error}; a message is {{\"to\":\"bob\",\"body\":\"hi\"}}, with optional kind, metadata and client_id")
    })?;
    let Request { to, body, kind, metadata, client_id } = request;
    Ok(Send { client_id, to, body, kind, metadata, timestamp: None, trace: false })
}

/// Whether a line is such a message.
pub(crate) fn is_request(line: &str) -> bool {
    line.trim_start().starts_with('{')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::entry::{Entry, State};
    use protocol::Timestamp;

    fn entry(text: &str) -> Entry {
        Entry {
            row: 7,
            place: 0,
            partner: "bob".to_owned(),
            outgoing: false,
            text: text.to_owned(),
            said: Timestamp::parse("2026-11-20T12:03:00Z").unwrap(),
            state: State::Stored,
            seq: Some(3),
            kind: MessageType::Chat,
            metadata: Metadata::default(),
            client_id: None,
        }
    }

    /// An own message that the server does not have yet.
    fn own(text: &str) -> Entry {
        let client_id = Some(ClientId::parse("job-17").unwrap());
        Entry { row: 8, outgoing: true, seq: None, state: State::Waiting, client_id, ..entry(text) }
    }

    #[test]
    fn a_message_is_one_line_whatever_it_holds() {
        assert_eq!(
            line(&Item::News(entry("a\nb \u{1b}[2J \"c\""))).unwrap(),
            "{\"type\":\"message\",\"id\":7,\"with\":\"bob\",\"direction\":\"in\",\"timestamp\":\"2026-11-20T12:03:00.000000+00:00\",\
             \"state\":\"stored\",\"seq\":3,\"kind\":\"chat\",\"body\":\"a\\nb \\u001b[2J \\\"c\\\"\"}\n"
        );
        assert_eq!(line(&Item::Hint("x".into())), None);
    }

    #[test]
    fn the_document_shows_every_line_as_it_is() {
        let stored = Entry { seq: Some(4), state: State::Stored, ..own("hi") };
        let refused = Entry { state: State::Refused, ..own("hi") };
        let mut reading = entry("Temperature update");
        reading.kind = MessageType::Notification;
        reading.metadata = serde_json::from_str(r#"{"temperature":22.9,"unit":"C"}"#).unwrap();
        let (server, me) = ("127.0.0.1:5000".to_owned(), "alice".to_owned());
        let shown = [
            Item::Link(Link::Up { server, me, online: vec!["bob".into(), "alice".into()], unseen: 1 }),
            Item::News(entry("hello")),
            Item::News(reading),
            Item::Sent(own("hi")),
            Item::Stored { entry: stored, online: true, delayed: false, again: false },
            Item::Refused { entry: refused, reason: "the body is empty".into() },
            Item::Presence { name: "bob".into(), online: false, partner: true },
            Item::Link(Link::Lost { reason: "the server closed the connection".into(), waiting: 1 }),
            Item::Answer("online: bob, alice".into()),
            Item::Notice("not connected: your messages are saved and sent once the server is back".into()),
            Item::Error("unknown command /dance; see /help".into()),
        ];
        let document = include_str!("../../../docs/terminal.md");
        for item in shown {
            let line = line(&item).unwrap();
            assert!(document.contains(&format!("\n{line}")), "docs/terminal.md lacks {line}");
        }
    }

    #[test]
    fn a_program_says_things_under_its_own_ids() {
        let send =
            parse_request(r#"{"to":"bob","body":"hi","client_id":"job-7","metadata":{"n":1}}"#).unwrap();
        assert_eq!((send.to.as_str(), send.body.as_str(), send.client_id.as_str()), ("bob", "hi", "job-7"));
        assert!(parse_request(r#"{"to":"bob"}"#).unwrap_err().contains("missing field `body`"));
        assert!(parse_request(r#"{"to":"a b","body":"x"}"#).is_err());
        assert!(is_request(" {}") && !is_request("bob: {}"));
    }
}
