//! Loads turns from before a start from the log, which has every question and answer, so no other copy is stored.

use std::collections::BTreeMap;

use protocol::{Event, MessageType, UserName};
use transport::api::Range;
use transport::service::REPLY_PREFIX;
use transport::{ApiClient, retry};

use crate::command::{Request, parse};
use crate::history::{History, Turn};
use crate::{parts, words};

/// The newest events of a conversation that are searched. Older turns are dropped.
const PAGE: usize = 200;
/// Length of an event's id in characters.
const ID_CHARS: usize = 36;

/// The turns with a user before a question of theirs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Recalled {
    turns: Vec<Turn>,
    /// The `seq` of the user's last `forget`.
    forgotten: u64,
}

impl Recalled {
    /// Adds the turns to the history.
    pub(crate) fn add_to(self, user: &UserName, history: &mut History) {
        history.forget(user, self.forgotten);
        for turn in self.turns {
            history.add(user, turn);
        }
    }
}

/// Loads the turns before a question. Empty if the message API does not answer.
pub(crate) async fn recall(api: &ApiClient, question: &Event) -> Recalled {
    let page = retry(|| api.events(&question.conversation, Range::Before(Some(question.seq)), PAGE)).await;
    match page {
        Ok(page) => turns(&question.sender, &page.events),
        Err(error) => {
            let error = kit::failure::chain(&error);
            tracing::warn!(error, "cannot read the conversation so far");
            Recalled::default()
        }
    }
}

/// A user's answered questions, oldest first.
fn turns(user: &UserName, events: &[Event]) -> Recalled {
    let mut forgotten = 0;
    let mut open: BTreeMap<String, Turn> = BTreeMap::new();
    for event in events {
        if event.sender == *user {
            let asks = matches!(event.kind, MessageType::Chat | MessageType::Command);
            match parse(event.body.as_str()) {
                _ if !asks || event.metadata.is_automatic() => {}
                Request::Question(text) => {
                    let turn = Turn { seq: event.seq, question: text.to_owned(), answer: String::new() };
                    open.insert(event.id.to_string(), turn);
                }
                Request::Forget => {
                    open.clear();
                    forgotten = event.seq;
                }
                Request::Help | Request::Personality(_) | Request::Rotate => {}
            }
        } else if let Some(id) = event.client_id.as_str().strip_prefix(REPLY_PREFIX)
            && let Some(turn) = id.get(..ID_CHARS).and_then(|id| open.get_mut(id))
        {
            if !turn.answer.is_empty() {
                turn.answer.push(' ');
            }
            turn.answer.push_str(parts::without_number(event.body.as_str()));
        }
    }
    let answered = open.into_values().filter_map(|turn| {
        let answer = words::said_by_model(&turn.answer).filter(|answer| !answer.is_empty())?.to_owned();
        Some(Turn { answer, ..turn })
    });
    let mut turns: Vec<_> = answered.collect();
    turns.sort_by_key(|turn| turn.seq);
    Recalled { turns, forgotten }
}
