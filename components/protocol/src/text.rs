//! The text dialect's grammar (`WIRE` §1): what a line means, and the bytes that answer it. Framing is done by the connection.

use std::fmt::Write;

use crate::{Body, Event, UserName};

/// Sent as soon as a connection is made, without a line end.
pub const PROMPT: &str = "Enter your username: ";
/// The answer to a login with a name that is in use.
pub const TAKEN: &str = "Username already taken. Disconnecting...\n";
/// The answer to a line that is not a message.
pub const INVALID_FORMAT: &str = "Invalid format. Use: TO_USERNAME: MESSAGE\n";

/// What one message from a text client means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// Send `body` to `to`.
    Message {
        /// The recipient.
        to: UserName,
        /// The text.
        body: Body,
    },
    /// `!check`: show unread messages.
    Check,
    /// `exit`: close the connection.
    Exit,
    /// Nothing but white space: not answered.
    Blank,
    /// Invalid, with the line to answer.
    Invalid(String),
}

/// Parses one message: `TO_USERNAME: MESSAGE`, `!check` or `exit`.
#[must_use]
pub fn parse_line(line: &str) -> Line {
    let line = line.trim();
    if line.is_empty() {
        return Line::Blank;
    }
    if line.eq_ignore_ascii_case("exit") {
        return Line::Exit;
    }
    if line == "!check" {
        return Line::Check;
    }
    match line.split_once(':') {
        Some((to, body)) if !to.trim().is_empty() => parse_message(to, body),
        Some(_) | None => Line::Invalid(INVALID_FORMAT.to_owned()),
    }
}

fn parse_message(to: &str, body: &str) -> Line {
    let to = match UserName::parse(to) {
        Ok(to) => to,
        Err(error) => return Line::Invalid(format!("Invalid recipient: {error}.\n")),
    };
    match Body::parse(body) {
        Ok(body) => Line::Message { to, body },
        Err(error) => Line::Invalid(format!("Invalid message: {error}. Use: TO_USERNAME: MESSAGE\n")),
    }
}

/// The greeting: all online users, separated by `, `, the newest last. At most so many bytes of names; the rest are counted.
#[must_use]
pub fn connected(online: &str, most: usize) -> String {
    if online.len() <= most {
        return format!("Connected! Users online: {online}\n");
    }
    // No name holds a separator, and so no separator begins within a character.
    let end = online.as_bytes()[..most].windows(2).rposition(|two| two == b", ").unwrap_or(0);
    let (listed, rest) = online.split_at(end);
    let more = rest.matches(", ").count().max(1);
    format!("Connected! Users online: {listed} and {more} more\n")
}

/// A message that is delivered live.
#[must_use]
pub fn live(event: &Event) -> String {
    let Event { sender, timestamp, .. } = event;
    let (body, metadata) = (one_line(&event.body), event.metadata.shown());
    if metadata.is_empty() {
        sized_line(event, 38, format_args!("[{sender}][{timestamp}] {body}\n"))
    } else {
        format!("[{sender}][{timestamp}] {body} Metadata: {}\n", metadata.to_shown_json())
    }
}

/// A stored message, delivered when its recipient is back online. A space follows the body, also before the line end.
#[must_use]
pub fn stored(event: &Event) -> String {
    let Event { sender, timestamp, kind, .. } = event;
    let kind = kind.as_capitals();
    let (body, metadata) = (one_line(&event.body), event.metadata.shown());
    if metadata.is_empty() {
        sized_line(event, 50 + kind.len(), format_args!("[Stored] [{kind}][{timestamp}][{sender}] {body} \n"))
    } else {
        format!("[Stored] [{kind}][{timestamp}][{sender}] {body} Metadata: {}\n", metadata.to_shown_json())
    }
}

/// Formats a line with an event's sender and text, and so many other bytes. It is made for every message, and not moved while it grows.
pub(crate) fn sized_line(event: &Event, others: usize, line: std::fmt::Arguments<'_>) -> String {
    let mut text = String::with_capacity(event.sender.as_str().len() + event.body.as_str().len() + others);
    text.write_fmt(line).expect("memory takes every text");
    text
}

/// The answer to a message whose recipient is offline, once the message is durable.
#[must_use]
pub fn saved(to: &UserName) -> String {
    format!("User '{to}' is offline. Message saved.\n")
}

/// The answer to an invalid name.
#[must_use]
pub fn invalid_name(error: &impl std::fmt::Display) -> String {
    format!("Invalid username: {error}. Disconnecting...\n")
}

/// Replaces newlines in a body, which would otherwise inject lines.
pub(crate) fn one_line(body: &Body) -> std::borrow::Cow<'_, str> {
    crate::sanitise::line(body.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClientId, ConversationId, MessageType, Metadata, Timestamp};
    use proptest::prelude::*;

    fn name(text: &str) -> UserName {
        UserName::parse(text).unwrap()
    }

    fn event(body: &str, metadata: &str) -> Event {
        let at = Timestamp::parse("2026-11-20T23:21:22.277391+00:00").unwrap();
        Event {
            id: uuid::Uuid::nil(),
            conversation: ConversationId::dm(&name("alice"), &name("bob")),
            seq: 1,
            at,
            sender: name("bob"),
            body: Body::parse(body).unwrap(),
            kind: MessageType::Chat,
            metadata: serde_json::from_str::<Metadata>(metadata).unwrap(),
            client_id: ClientId::fresh(),
            timestamp: at,
        }
    }

    #[test]
    fn lines_are_split_at_the_first_colon_and_trimmed() {
        assert_eq!(
            parse_line(" bob :  a: b \r\n"),
            Line::Message { to: name("bob"), body: Body::parse("a: b").unwrap() }
        );
        assert_eq!(parse_line("EXIT"), Line::Exit);
        assert_eq!(parse_line("!check\n"), Line::Check);
        assert_eq!(parse_line("  "), Line::Blank);
        assert_eq!(parse_line("no colon here"), Line::Invalid(INVALID_FORMAT.into()));
        assert_eq!(parse_line(": hi"), Line::Invalid(INVALID_FORMAT.into()));
        assert!(
            matches!(parse_line("a b: hi"), Line::Invalid(error) if error.contains("cannot hold a space"))
        );
        assert!(matches!(parse_line("bob:"), Line::Invalid(error) if error.contains("cannot be empty")));
    }

    #[test]
    fn a_line_has_the_memory_it_takes() {
        let event = event(&"x".repeat(500), "{}");
        for line in [live(&event), stored(&event), crate::book::live(&event), crate::book::offline(&event)] {
            assert_eq!(line.capacity(), line.len(), "{line}");
        }
    }

    #[test]
    fn answers_are_these_bytes() {
        let online = "thermometer1, alice";
        assert_eq!(connected(online, 99), "Connected! Users online: thermometer1, alice\n");
        assert_eq!(connected(online, online.len() - 1), "Connected! Users online: thermometer1 and 1 more\n");
        assert_eq!(connected("สมชาย, bob, ann", 18), "Connected! Users online: สมชาย and 2 more\n");
        assert_eq!(live(&event("hi", "{}")), "[bob][2026-11-20T23:21:22.277391+00:00] hi\n");
        assert_eq!(
            stored(&event("hello", "{}")),
            "[Stored] [CHAT][2026-11-20T23:21:22.277391+00:00][bob] hello \n"
        );
        assert_eq!(
            live(&event("t", r#"{"temperature":22.9,"unit":"C"}"#)),
            "[bob][2026-11-20T23:21:22.277391+00:00] t Metadata: {\"temperature\":22.9,\"unit\":\"C\"}\n"
        );
        assert_eq!(
            stored(&event("t", r#"{"a":1}"#)),
            "[Stored] [CHAT][2026-11-20T23:21:22.277391+00:00][bob] t Metadata: {\"a\":1}\n"
        );
        assert_eq!(saved(&name("bob")), "User 'bob' is offline. Message saved.\n");
    }

    #[test]
    fn the_mark_of_a_program_changes_no_byte() {
        for metadata in ["{}", r#"{"temperature":22.9,"unit":"C"}"#] {
            let plain = event("hi", metadata);
            let mut marked = plain.clone();
            marked.metadata = marked.metadata.into_automatic().unwrap();
            assert_eq!((live(&marked), stored(&marked)), (live(&plain), stored(&plain)));
        }
    }

    #[test]
    fn a_body_with_newlines_stays_one_line() {
        assert_eq!(live(&event("a\n[eve][x] b", "{}")).matches('\n').count(), 1);
    }

    proptest! {
        #[test]
        fn hostile_lines_have_a_meaning_and_what_is_said_stays_one_line(line in any::<String>()) {
            if let Line::Invalid(answer) = parse_line(&line) {
                prop_assert!(answer.ends_with('\n') && answer.matches('\n').count() == 1);
            }
        }
    }
}
