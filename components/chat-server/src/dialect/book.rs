//! The book dialect's answers. The grammar is `protocol::book`.
//!
//! What a line means depends on who is registered, so each line is looked up before the next one is read.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use protocol::book::{self, Line};
use protocol::limits::LINE_BYTES;
use protocol::{Draft, UserName};
use tokio::time::Instant;

use crate::delivery::appender::Outcome;
use crate::delivery::lane::Lane;
use crate::dialect::framing::Message;
use crate::dialect::request::Request;
use crate::server::Server;
use crate::session::answers::{Answer, Said};
use crate::session::unsure::Unsure;

/// Whoever types hears within a second that the store is away, whether it is looked up or written to.
const ANSWER_WITHIN: Duration = Duration::from_millis(950);
/// The answer where it could not even be looked up whom a line is for.
const NOT_SAVED: &str = "Message not saved: the server's store is unavailable; please send it again.\n";

/// What a line asks for.
pub(crate) fn interpret(message: Message) -> Request {
    let line = match message {
        Message::Text(line) => line,
        Message::TooLong => {
            let answer = format!("Line too long: at most {LINE_BYTES} bytes. It was not sent.\n");
            return Request::TooLong(answer.into());
        }
    };
    // If nobody is registered, all that can be said without asking who is comes out.
    match book::parse_line(&line, |_| false) {
        Line::Blank => Request::Mistake(Bytes::new()),
        Line::FormatError => Request::Mistake(Bytes::from_static(book::FORMAT_ERROR.as_bytes())),
        Line::Message { .. } | Line::NotFound => Request::BookLine(line),
    }
}

/// Whether bytes without a newline could be a line as they stand.
pub(crate) fn looks_whole(bytes: &[u8]) -> bool {
    crate::dialect::text::names_and_says(bytes.trim_ascii(), b'-')
}

/// Looks up whom a line is for, and stores what it says.
pub(crate) async fn say(server: &Server, sender: UserName, line: &str, unsure: &Unsure) -> Answer {
    let deadline = Instant::now() + ANSWER_WITHIN;
    let bytes = |words: &'static str| Answer::Bytes(Bytes::from_static(words.as_bytes()));
    let names = book::candidates(line);
    let known = if names.is_empty() {
        HashSet::new()
    } else {
        let look_up = server.backend.read_once(server.backend.api.known(names));
        match tokio::time::timeout_at(deadline, look_up).await {
            Ok(Ok(known)) => known.into_iter().collect(),
            Ok(Err(_)) | Err(_) => return bytes(NOT_SAVED),
        }
    };
    // Who has only just logged in may not be in the book yet.
    match book::parse_line(line, |name| known.contains(name) || server.hub.is_online(name)) {
        Line::Message { to, body } => {
            let draft = unsure.recognise(Draft::chat(sender, &to, body));
            let said = Said::new(to, &draft);
            let lane = Lane::default();
            let stored = async { server.appender.submit(draft, &lane).await.await };
            let outcome = tokio::time::timeout_at(deadline, stored).await;
            Answer::Outcome(said, outcome.ok().and_then(Result::ok).unwrap_or(Outcome::Later))
        }
        Line::NotFound => bytes(book::NOT_FOUND),
        Line::FormatError => bytes(book::FORMAT_ERROR),
        Line::Blank => Answer::Bytes(Bytes::new()),
    }
}

/// What the sender of a message is told: nothing where it went to somebody online.
pub(crate) fn outcome(said: &Said, outcome: &Outcome, online: bool) -> Option<Bytes> {
    match outcome {
        Outcome::Stored(..) if !online => Some(book::stored(&said.to).into()),
        Outcome::Stored(..) | Outcome::Refused(_) | Outcome::Later => {
            crate::dialect::text::outcome(said, outcome, online)
        }
    }
}
