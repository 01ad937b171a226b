//! Sends each answer exactly once: parts have ids derived from the question, and an earlier answer is searched first.

use std::collections::BTreeSet;

use protocol::{Body, Metadata, UserName};
use transport::api::Range;
use transport::{ApiClient, Question, SendError, retry};

use crate::{parts, words};

/// Events per page while searching for an earlier answer.
const PAGE: usize = 200;
/// Most pages searched. An answer further away would be sent again under the same id, which changes nothing.
const PAGES: usize = 10;

/// A reply to a question.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) text: String,
    /// The number of its first part: 1, unless earlier parts are already stored.
    pub(crate) from: usize,
}

impl From<String> for Reply {
    fn from(text: String) -> Self {
        Self { text, from: 1 }
    }
}

/// Sends a reply in as many messages as necessary, and finishes the question.
pub(crate) async fn say(question: Question, reply: Reply) {
    let mut bodies = parts::parts(&reply.text);
    if bodies.is_empty() {
        bodies.push(Body::parse(words::UNSPEAKABLE).expect("our own words are a message"));
    }
    for (index, body) in bodies.into_iter().enumerate() {
        match question.reply(reply.from + index, body, Metadata::default()).await {
            Ok(_) => {}
            Err(SendError::Refused(error)) => {
                tracing::warn!(error = error.message, "part of an answer was rejected");
            }
            // Shutdown; the question stays unread and arrives again.
            Err(SendError::Ended) => return,
        }
    }
    question.finish().await;
}

/// An earlier run's answer to a question.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Earlier {
    Nothing,
    All,
    /// Incomplete: this part is the first missing one.
    UpTo(usize),
}

/// Searches for an earlier run's answer. If the message API does not answer, the question counts as unanswered: a duplicate answer is
/// recognised by its id.
pub(crate) async fn earlier(api: &ApiClient, me: &UserName, question: &Question) -> Earlier {
    let first_id = question.reply_id(1);
    let mut found = Found::default();
    let mut after = question.event.seq;
    for _ in 0..PAGES {
        let page = retry(|| api.events(&question.event.conversation, Range::After(after), PAGE)).await;
        let Ok(page) = page else { break };
        for event in &page.events {
            after = event.seq;
            let part = event.client_id.as_str().strip_prefix(first_id.as_str());
            if let Some(part) = part.filter(|_| event.sender == *me) {
                found.add(part, event.body.as_str());
            }
        }
        if !page.more || page.events.is_empty() {
            break;
        }
    }
    found.conclude()
}

/// The parts found, and their expected number.
#[derive(Debug, Default)]
struct Found {
    parts: BTreeSet<usize>,
    count: usize,
}

impl Found {
    /// Adds a part by the suffix of its id: empty, or `-2`.
    fn add(&mut self, ending: &str, body: &str) {
        match ending.strip_prefix('-').map(str::parse) {
            None => {
                self.parts.insert(1);
                self.count = parts::count(body);
            }
            Some(Ok(part)) => {
                self.parts.insert(part);
            }
            Some(Err(_)) => {}
        }
    }

    fn conclude(self) -> Earlier {
        if !self.parts.contains(&1) {
            return Earlier::Nothing;
        }
        let missing = (2..=self.count).find(|part| !self.parts.contains(part));
        missing.map_or(Earlier::All, Earlier::UpTo)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conclude(found: &[(&str, &str)]) -> Earlier {
        let mut all = Found::default();
        for (ending, body) in found {
            all.add(ending, body);
        }
        all.conclude()
    }

    #[test]
    fn an_answer_is_complete_when_all_its_parts_are_found() {
        assert_eq!(conclude(&[]), Earlier::Nothing);
        assert_eq!(conclude(&[("", "hi")]), Earlier::All);
        assert_eq!(conclude(&[("", "(1/3) a"), ("-2", "(2/3) b")]), Earlier::UpTo(3));
        assert_eq!(conclude(&[("", "(1/3) a"), ("-3", "(3/3) c")]), Earlier::UpTo(2));
        assert_eq!(conclude(&[("", "(1/2) a"), ("-2", "(2/2) b")]), Earlier::All);
    }
}
