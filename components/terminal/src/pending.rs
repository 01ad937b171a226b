//! What the user has said and the server has not answered yet.

use std::collections::BTreeMap;

use protocol::native::Send;
use protocol::{ClientId, UserName};

use crate::clean;

/// Most messages that wait for the server. Overflow rule: what is said beyond is refused, or the pipe waits.
pub(crate) const LIMIT: usize = 10_000;
/// How much of a message is repeated to say which one it was.
const PREVIEW_CHARS: usize = 40;

/// A message on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) to: UserName,
    /// How it begins.
    pub(crate) preview: String,
    /// It was said, or the connection broke, before it was answered; the user was told that it waits.
    pub(crate) delayed: bool,
}

/// Messages without an answer, at most [`LIMIT`].
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

    /// The connection broke: everything waits. How many that is.
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

/// How a message begins.
pub(crate) fn preview(body: &str) -> String {
    let text = clean::flatten(body);
    match text.char_indices().nth(PREVIEW_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
