//! What the user has said and the server has not answered yet, and which messages are our own.

use std::collections::{BTreeMap, VecDeque};

use protocol::native::Send;
use protocol::{ClientId, UserName};

use crate::clean;

/// Most messages without an answer. Overflow rule: the user, or the pipe, waits.
pub(crate) const LIMIT: usize = 500;
/// How many of our own messages are remembered, so that they are not shown when the server tells them back.
const OWN: usize = 2 * LIMIT;
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
pub(crate) struct Pending {
    waiting: BTreeMap<String, Waiting>,
    /// The ids of what was said here, the newest last. Overflow rule: the oldest is forgotten.
    own: VecDeque<ClientId>,
}

impl Pending {
    pub(crate) fn add(&mut self, send: &Send, delayed: bool) {
        if self.own.len() >= OWN {
            self.own.pop_front();
        }
        self.own.push_back(send.client_id.clone());
        let waiting = Waiting { to: send.to.clone(), preview: preview(send.body.as_str()), delayed };
        self.waiting.insert(send.client_id.as_str().to_owned(), waiting);
    }

    pub(crate) fn settle(&mut self, id: &ClientId) -> Option<Waiting> {
        self.waiting.remove(id.as_str())
    }

    /// The connection broke: everything waits. How many that is.
    pub(crate) fn delay(&mut self) -> usize {
        for waiting in self.waiting.values_mut() {
            waiting.delayed = true;
        }
        self.waiting.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.waiting.len() >= LIMIT
    }

    /// Whether a message was said here.
    pub(crate) fn is_own(&self, id: &ClientId) -> bool {
        self.own.iter().rev().any(|own| own == id)
    }
}

fn preview(body: &str) -> String {
    let text = clean::flatten(body);
    match text.char_indices().nth(PREVIEW_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
