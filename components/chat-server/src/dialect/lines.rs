//! What the dialects of lines for people have in common: a name is asked for, and everything is said in sentences.

use bytes::Bytes;
use protocol::limits::LINE_BYTES;
use protocol::native::Hello;
use protocol::{UserName, sanitise, text};

use super::framing::Message;
use super::speech::{Notice, Refusal, Step};
use crate::outcome::Outcome;

const NOT_HTTP: &str = "This is a chat server, not a web server. Disconnecting...\n";
const NOT_UTF8: &str = "This server takes UTF-8, and that looks like UTF-16. Disconnecting...\n";
const TOO_MANY: &str = "Too many sessions under this username. Disconnecting...\n";
/// The answer to a message that is not known to be stored. A store that hangs may have it all the same, so it is not said that it is not
/// saved; the same line goes there under the same id.
const NOT_CONFIRMED: &str = "Message not confirmed: the server's store does not answer. Please send the same line again; it will not come twice.\n";

/// The name that the first line is.
pub(super) fn identify(message: Message) -> Step {
    let line = match message {
        Message::Text(line) => line,
        // No name is that long.
        Message::TooLong => "x".repeat(64),
    };
    if line.trim().is_empty() {
        // Some programs send an empty line first, and people press the key twice.
        return Step::Again(text::PROMPT.into());
    }
    if line.contains('\0') {
        return Step::Refused(NOT_UTF8.into());
    }
    if is_http(&line) {
        return Step::Refused(NOT_HTTP.into());
    }
    match UserName::parse(&line) {
        Ok(name) => Step::Is(Box::new(Hello { presence: false, conversations: false, ..Hello::new(name) })),
        Err(error) => Step::Refused(text::invalid_name(&error).into()),
    }
}

fn is_http(line: &str) -> bool {
    let (method, rest) = line.split_once(' ').unwrap_or((line, ""));
    !method.is_empty() && method.bytes().all(|b| b.is_ascii_uppercase()) && rest.contains("HTTP/")
}

/// Why somebody does not come in.
pub(super) fn refusal(why: &Refusal<'_>) -> Bytes {
    match why {
        // Only empty lines came.
        Refusal::Unnamed => match UserName::parse("") {
            Ok(_) => Bytes::new(),
            Err(error) => text::invalid_name(&error).into(),
        },
        Refusal::Unfinished(words) | Refusal::TooOften(words, _) => {
            format!("{words}. Disconnecting...\n").into()
        }
        Refusal::BadName(why) => text::invalid_name(why).into(),
        Refusal::Taken(_) => text::TAKEN.into(),
        Refusal::Reserved(name) => {
            format!("Username '{name}' is reserved for a service. Disconnecting...\n").into()
        }
        Refusal::TooMany(_) => TOO_MANY.into(),
    }
}

/// The answer to a line that is too long.
pub(super) fn too_long() -> Bytes {
    format!("Line too long: at most {LINE_BYTES} bytes. It was not sent.\n").into()
}

/// Whether a name stands before the first `separator`, and anything behind it. Cheap however long the bytes are.
pub(super) fn names_and_says(bytes: &[u8], separator: u8) -> bool {
    let Some(at) = bytes.iter().position(|byte| *byte == separator) else { return false };
    let is_name = std::str::from_utf8(&bytes[..at]).is_ok_and(|name| UserName::parse(name).is_ok());
    is_name && !bytes[at + 1..].trim_ascii_start().is_empty()
}

/// What the sender of a message is told, where `stored` is the answer to one that was kept for somebody offline: nothing where it went
/// to somebody online.
pub(super) fn outcome(outcome: &Outcome, online: bool, stored: impl FnOnce() -> String) -> Option<Bytes> {
    match outcome {
        Outcome::Stored(..) if online => None,
        Outcome::Stored(..) => Some(stored().into()),
        Outcome::Refused(reason) => Some(format!("Message not saved: {}.\n", sanitise::line(reason)).into()),
        Outcome::Later => Some(Bytes::from_static(NOT_CONFIRMED.as_bytes())),
    }
}

/// There are words for what a person must know.
pub(super) fn notice(notice: &Notice<'_>) -> Option<Bytes> {
    match notice {
        Notice::Unreadable(words) | Notice::Unfinished(words) => Some(format!("{words}\n").into()),
        Notice::Live | Notice::Seen(_) | Notice::Delivered(_) | Notice::Presence(..) | Notice::Bye(..) => {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_browsers_are_told_from_names() {
        assert!(is_http("GET / HTTP/1.1"));
        assert!(is_http("PRI * HTTP/2.0"));
        assert!(is_http("OPTIONS /x HTTP/1.0\r"));
        assert!(!is_http("GET"));
        assert!(!is_http("alice"));
        assert!(!is_http("two words"));
    }
}
