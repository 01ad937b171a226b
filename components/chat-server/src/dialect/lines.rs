//! What the line dialects share: the prompt for a name, and sentences for everything else.

use bytes::Bytes;
use protocol::limits::LINE_BYTES;
use protocol::native::Hello;
use protocol::{UserName, account, sanitise, text};

use super::codec::{LoginStep, Notice, Refusal};
use super::framing::Message;
use crate::outcome::Outcome;

const NOT_HTTP: &str = "This is a chat server, not a web server. Disconnecting...\n";
const NOT_UTF8: &str = "This server takes UTF-8, and that looks like UTF-16. Disconnecting...\n";
const TOO_MANY: &str = "Too many sessions under this username. Disconnecting...\n";
/// The answer to a message that is not known to be stored. It does not say "not saved", because a store that hangs may have saved it; the
/// same line is sent to the store under the same id.
const NOT_CONFIRMED: &str = "Message not confirmed: the server's store does not answer. Please send the same line again; it will not come twice.\n";

/// Reads the first line as a name.
pub(super) fn identify(message: Message) -> LoginStep {
    let line = match message {
        Message::Text(line) => line,
        // Longer than any name.
        Message::TooLong => "x".repeat(64),
    };
    if line.trim().is_empty() {
        // Some programs send an empty line first, and people press the key twice.
        return LoginStep::Retry(text::PROMPT.into());
    }
    if line.contains('\0') {
        return LoginStep::Rejected(NOT_UTF8.into());
    }
    if is_http(&line) {
        return LoginStep::Rejected(NOT_HTTP.into());
    }
    let (name, token) = account::split_token(&line);
    match UserName::parse(name) {
        Ok(name) => LoginStep::Identified(Box::new(Hello {
            token: token.map(str::to_owned),
            presence: false,
            conversations: false,
            ..Hello::new(name)
        })),
        Err(error) => LoginStep::Rejected(text::invalid_name(&error).into()),
    }
}

fn is_http(line: &str) -> bool {
    let (method, rest) = line.split_once(' ').unwrap_or((line, ""));
    !method.is_empty() && method.bytes().all(|b| b.is_ascii_uppercase()) && rest.contains("HTTP/")
}

/// Renders a rejected login.
pub(super) fn refusal(why: &Refusal<'_>) -> Bytes {
    match why {
        // Only empty lines arrived.
        Refusal::Unnamed => match UserName::parse("") {
            Ok(_) => Bytes::new(),
            Err(error) => text::invalid_name(&error).into(),
        },
        Refusal::Unfinished(words) | Refusal::RateLimited(words, _) => {
            format!("{words}. Disconnecting...\n").into()
        }
        Refusal::BadName(why) => text::invalid_name(why).into(),
        // Existing clients know this line.
        Refusal::Taken(_) | Refusal::Protected(_) => text::TAKEN.into(),
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

/// Whether the bytes have a name before the first `separator` and text after it. Its cost does not depend on the length.
pub(super) fn names_and_says(bytes: &[u8], separator: u8) -> bool {
    let Some(at) = bytes.iter().position(|byte| *byte == separator) else { return false };
    let is_name = std::str::from_utf8(&bytes[..at]).is_ok_and(|name| UserName::parse(name).is_ok());
    is_name && !bytes[at + 1..].trim_ascii_start().is_empty()
}

/// The answer to a message: nothing if the recipient is online; `stored` if it was stored for a recipient who is offline.
pub(super) fn outcome(outcome: &Outcome, online: bool, stored: impl FnOnce() -> String) -> Option<Bytes> {
    match outcome {
        Outcome::Stored(..) if online => None,
        Outcome::Stored(..) => Some(stored().into()),
        Outcome::Refused(reason) => Some(format!("Message not saved: {}.\n", sanitise::line(reason)).into()),
        Outcome::Unknown => Some(Bytes::from_static(NOT_CONFIRMED.as_bytes())),
    }
}

/// Renders the notices that a person needs.
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
