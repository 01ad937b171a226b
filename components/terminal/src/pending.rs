//! The user's unanswered messages.

use std::collections::BTreeMap;

use protocol::native::Send;
use protocol::{ClientId, UserName};

use crate::clean;

/// Most unanswered messages. Overflow rule: further ones are refused, or the pipe waits.
pub(crate) const LIMIT: usize = 10_000;
/// Length of a message's preview in characters.
const PREVIEW_CHARS: usize = 40;

/// An unanswered message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) to: UserName,
    /// The beginning of its text.
    pub(crate) preview: String,
    /// Whether the user was told that it waits for a connection.
    pub(crate) delayed: bool,
}

/// Unanswered messages, at most [`LIMIT`].
#[derive(Debug, Default)]
pub(crate) struct Pending(BTreeMap<String, Waiting>);

impl Pending {
    pub(crate) fn add(&mut self, send: &Send, delayed: bool) {
        let waiting = Waiting { to: send.to.clone(), preview: preview(send.body.as_str()), delayed };
        self.0.insert(send.client_id.as_str().to_owned(), waiting);
    }

    pub(crate) fn settle(&mut self, id: &ClientId) -> Option<Waiting> {
        self.0.remove(id.as_str())
    }

    /// The connection was lost: marks all as delayed. Returns their number.
    pub(crate) fn delay(&mut self) -> usize {
        for waiting in self.0.values_mut() {
            waiting.delayed = true;
        }
        self.0.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= LIMIT
    }
}

/// The beginning of a message.
pub(crate) fn preview(body: &str) -> String {
    let text = clean::flatten(body);
    match text.char_indices().nth(PREVIEW_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
