//! Translates between WIRE §4 and the native dialect. Pure functions.

use protocol::native::{Ack, ErrorCode, ErrorFrame, EventFrame};
use protocol::web::{AdapterFrame, ChatMessage, PageFrame};
use protocol::{Body, MessageType, UserName, sanitise, text};
use transport::SendError;

use crate::frame::{Outline, system};

/// A page's request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    /// Send `body` to `to`.
    Say {
        /// The recipient.
        to: UserName,
        /// The text.
        body: Body,
    },
    /// Show unread messages.
    Check,
    /// Leave.
    Exit,
    /// Invalid, with the text for the page.
    Invalid(String),
}

/// Parses a frame after the login.
pub(crate) fn request(frame: &str) -> Request {
    match serde_json::from_str::<PageFrame>(frame) {
        Ok(PageFrame::Chat { recipient, message }) => say(&recipient, &message),
        Ok(PageFrame::Command { command }) => parse_command(&command),
        Ok(PageFrame::Login { .. }) => Request::Invalid("You are logged in already.".to_owned()),
        Err(error) => Request::Invalid(explain(frame, &error)),
    }
}

fn say(recipient: &str, message: &str) -> Request {
    let to = match UserName::parse(recipient) {
        Ok(to) => to,
        Err(error) => return Request::Invalid(format!("Invalid recipient: {error}.")),
    };
    match Body::parse(message) {
        Ok(body) => Request::Say { to, body },
        Err(error) => Request::Invalid(format!("Invalid message: {error}.")),
    }
}

/// A command is any line of the text dialect.
fn parse_command(command: &str) -> Request {
    match text::parse_line(command) {
        text::Line::Message { to, body } => Request::Say { to, body },
        text::Line::Check => Request::Check,
        text::Line::Exit => Request::Exit,
        text::Line::Blank => Request::Invalid("An empty command does nothing.".to_owned()),
        text::Line::Invalid(answer) => Request::Invalid(answer.trim_end().to_owned()),
    }
}

/// Explains why a frame could not be parsed.
pub(crate) fn explain(frame: &str, error: &serde_json::Error) -> String {
    match Outline::parse(frame) {
        Err(bad) => format!("Not understood: {bad}."),
        Ok(Outline { kind: None }) => "Not understood: the frame has no type.".to_owned(),
        Ok(Outline { kind: Some(kind) }) if matches!(kind.as_str(), "login" | "chat" | "command") => {
            format!("Not understood: {error}.")
        }
        Ok(Outline { kind: Some(kind) }) => {
            let kind = sanitise::short_line(&kind, 32);
            format!("Not understood: unknown type '{kind}'; one of login, chat, command.")
        }
    }
}

/// A message for the page; `None` for its user's own messages from elsewhere, for which WIRE §4 has no frame.
pub(crate) fn event(user: &UserName, frame: &EventFrame) -> Option<AdapterFrame> {
    let event = &frame.event;
    if !event.is_incoming_for(user) {
        return None;
    }
    Some(match (frame.replayed, event.kind) {
        (true, _) => AdapterFrame::Stored(ChatMessage::from(event)),
        (false, MessageType::Notification) => AdapterFrame::Notification {
            sender: event.sender.clone(),
            timestamp: event.timestamp,
            message: event.body.as_str().to_owned(),
            metadata: event.metadata.shown().into_owned(),
        },
        (false, MessageType::Chat | MessageType::Command | MessageType::Subscription) => {
            AdapterFrame::Chat(ChatMessage::from(event))
        }
    })
}

/// The notice about a message's result; `None` if it was delivered.
pub(crate) fn outcome(to: &UserName, result: &Result<Ack, SendError>) -> Option<AdapterFrame> {
    match result {
        Ok(Ack { online: true, .. }) => None,
        Ok(Ack { online: false, .. }) => Some(system(text::saved(to).trim_end())),
        Err(SendError::Refused(error)) => {
            Some(system(format!("The message to '{to}' was refused: {}.", error.message)))
        }
        Err(SendError::Ended) => Some(system(format!("The message to '{to}' may not have been saved."))),
    }
}

/// Why a login failed.
pub(crate) fn rejection(error: &ErrorFrame) -> String {
    match error.code {
        ErrorCode::Taken | ErrorCode::Protected => text::TAKEN.trim_end().to_owned(),
        ErrorCode::BadFrame
        | ErrorCode::UnknownType
        | ErrorCode::TooLong
        | ErrorCode::ExpectedHello
        | ErrorCode::BadName
        | ErrorCode::Reserved
        | ErrorCode::Full
        | ErrorCode::Retry
        | ErrorCode::Refused => format!("Login refused: {}.", error.message.trim_end_matches('.')),
    }
}

/// The answer to a login with an invalid name.
pub(crate) fn bad_name(error: &protocol::name::NameError) -> AdapterFrame {
    system(text::invalid_name(error).trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::ConversationId;
    use serde_json::json;

    fn name(text: &str) -> UserName {
        UserName::parse(text).unwrap()
    }

    fn frame(kind: &str, replayed: bool, sender: &str, metadata: serde_json::Value) -> EventFrame {
        serde_json::from_value(json!({
            "event": {
                "id": "0198c5a0-0000-7000-8000-000000000000", "conversation": "dm:alice:bob", "seq": 1,
                "at": "2026-11-20T23:21:22.277391+00:00", "timestamp": "2026-11-20T23:21:22.277391+00:00",
                "sender": sender, "destination": if sender == "bob" { "alice" } else { "bob" },
                "body": "hi", "type": kind, "metadata": metadata, "client_id": "c1"
            },
            "replayed": replayed
        }))
        .unwrap()
    }

    fn shown(kind: &str, replayed: bool, metadata: serde_json::Value) -> String {
        serde_json::to_string(&event(&name("Alice"), &frame(kind, replayed, "bob", metadata))).unwrap()
    }

    #[test]
    fn messages_are_these_bytes() {
        let time = r#""sender":"bob","timestamp":"2026-11-20T23:21:22.277391+00:00","message":"hi""#;
        assert_eq!(shown("chat", false, json!({})), format!(r#"{{"type":"chat",{time}}}"#));
        assert_eq!(shown("chat", true, json!({})), format!(r#"{{"type":"stored",{time}}}"#));
        assert_eq!(
            shown("notification", false, json!({"unit":"C"})),
            format!(r#"{{"type":"notification",{time},"metadata":{{"unit":"C"}}}}"#)
        );
        assert_eq!(
            shown("notification", false, json!({})),
            format!(r#"{{"type":"notification",{time},"metadata":{{}}}}"#)
        );
        assert_eq!(
            shown("notification", true, json!({"unit":"C"})),
            format!(r#"{{"type":"stored",{time},"kind":"notification","metadata":{{"unit":"C"}}}}"#)
        );
    }

    #[test]
    fn the_mark_of_a_program_changes_no_byte() {
        for kind in ["chat", "notification"] {
            for (replayed, unit) in [(false, json!({})), (true, json!({})), (false, json!({"unit":"C"}))] {
                let mut marked = unit.clone();
                marked["automatic"] = json!(true);
                assert_eq!(shown(kind, replayed, marked), shown(kind, replayed, unit));
            }
        }
    }

    #[test]
    fn what_one_said_elsewhere_is_not_shown_but_what_one_said_to_oneself_is() {
        assert_eq!(event(&name("alice"), &frame("chat", false, "alice", json!({}))), None);
        assert!(event(&name("bob"), &frame("chat", false, "alice", json!({}))).is_some());
        let mut to_self = frame("chat", false, "alice", json!({}));
        to_self.event.conversation = ConversationId::dm(&name("alice"), &name("alice"));
        assert!(event(&name("alice"), &to_self).is_some());
    }

    #[test]
    fn requests_are_understood() {
        let say = Request::Say { to: name("bob"), body: Body::parse("hi: there").unwrap() };
        assert_eq!(request(r#"{"type":"chat","recipient":" Bob ","message":"hi: there"}"#), say);
        assert_eq!(request(r#"{"type":"command","command":"bob: hi: there"}"#), say);
        assert_eq!(request(r#"{"type":"command","command":" !check "}"#), Request::Check);
        assert_eq!(request(r#"{"type":"command","command":"EXIT"}"#), Request::Exit);
    }

    #[test]
    fn what_is_wrong_with_a_request_is_said() {
        let wrong = |frame: &str| match request(frame) {
            Request::Invalid(message) => message,
            other => panic!("{other:?}"),
        };
        assert!(wrong("hello").starts_with("Not understood: the frame is not a JSON object"));
        assert!(wrong("[1]").starts_with("Not understood: the frame is not a JSON object"));
        assert_eq!(wrong("{}"), "Not understood: the frame has no type.");
        assert_eq!(
            wrong(r#"{"type":"dance\u001b"}"#),
            "Not understood: unknown type 'dance'; one of login, chat, command."
        );
        assert!(wrong(r#"{"type":"chat","recipient":"bob"}"#).contains("missing field `message`"));
        assert!(
            wrong(r#"{"type":"chat","recipient":"b b","message":"x"}"#)
                .starts_with("Invalid recipient: a name")
        );
        assert_eq!(
            wrong(r#"{"type":"chat","recipient":"bob","message":" "}"#),
            "Invalid message: a message cannot be empty."
        );
        assert_eq!(
            wrong(r#"{"type":"command","command":"dance"}"#),
            "Invalid format. Use: TO_USERNAME: MESSAGE"
        );
        assert_eq!(wrong(r#"{"type":"login","username":"x"}"#), "You are logged in already.");
    }

    #[test]
    fn a_sender_hears_only_that_the_receiver_is_away_or_what_went_wrong() {
        let ack = |online: bool| -> Ack {
            serde_json::from_value(json!({
                "client_id": "c", "conversation": "dm:alice:bob", "seq": 1, "durability": "fsync", "online": online,
                "id": "0198c5a0-0000-7000-8000-000000000000", "at": "2026-11-20T23:21:22.277391+00:00"
            }))
            .unwrap()
        };
        assert_eq!(outcome(&name("bob"), &Ok(ack(true))), None);
        assert_eq!(
            serde_json::to_string(&outcome(&name("bob"), &Ok(ack(false)))).unwrap(),
            r#"{"type":"system","message":"User 'bob' is offline. Message saved."}"#
        );
        assert!(outcome(&name("bob"), &Err(SendError::Ended)).is_some());
    }

    #[test]
    fn a_taken_name_is_answered_as_in_the_text_dialect() {
        let error = |code| ErrorFrame { code, message: "no".into(), client_id: None, retry_after_ms: None };
        assert_eq!(rejection(&error(ErrorCode::Taken)), "Username already taken. Disconnecting...");
        assert_eq!(rejection(&error(ErrorCode::Protected)), "Username already taken. Disconnecting...");
        assert_eq!(rejection(&error(ErrorCode::Reserved)), "Login refused: no.");
    }
}
