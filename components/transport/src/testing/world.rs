//! The fakes' state: all messages, cursors, online users, and services' state.

use std::collections::BTreeMap;

use protocol::{ConversationId, Draft, Event, Timestamp, UserName};
use serde_json::Value;
use uuid::Uuid;

/// All state in memory. Unbounded: it lives as long as one test.
#[derive(Debug, Default)]
pub struct World {
    logs: BTreeMap<ConversationId, Vec<Event>>,
    cursors: BTreeMap<(String, ConversationId), u64>,
    state: BTreeMap<(String, String), Value>,
    online: Vec<UserName>,
}

impl World {
    /// The messages between two users.
    #[must_use]
    pub fn conversation(&self, one: &UserName, other: &UserName) -> &[Event] {
        self.events(&ConversationId::dm(one, other))
    }

    /// The events of a conversation.
    #[must_use]
    pub fn events(&self, conversation: &ConversationId) -> &[Event] {
        self.logs.get(conversation).map_or(&[], Vec::as_slice)
    }

    /// All messages in a user's conversations.
    pub fn events_of(&self, user: &UserName) -> impl Iterator<Item = &Event> {
        self.logs.iter().filter(|(id, _)| id.is_dm_of(user)).flat_map(|(_, events)| events)
    }

    /// How far a user has read their conversation with another.
    #[must_use]
    pub fn cursor(&self, user: &UserName, other: &UserName) -> u64 {
        self.cursor_in(user, &ConversationId::dm(user, other))
    }

    /// All online users in the order of their logins; once per connection.
    #[must_use]
    pub fn online(&self) -> &[UserName] {
        &self.online
    }

    /// A service's state.
    #[must_use]
    pub fn state(&self, owner: &UserName) -> BTreeMap<String, Value> {
        let of_owner = self.state.iter().filter(|((name, _), _)| name == owner.key());
        of_owner.map(|((_, key), value)| (key.clone(), value.clone())).collect()
    }

    pub(super) fn put_state(&mut self, owner: &UserName, key: String, value: Option<Value>) {
        let key = (owner.key().to_owned(), key);
        match value {
            Some(value) => self.state.insert(key, value),
            None => self.state.remove(&key),
        };
    }

    pub(super) fn cursor_in(&self, user: &UserName, conversation: &ConversationId) -> u64 {
        self.cursors.get(&(user.key().to_owned(), conversation.clone())).copied().unwrap_or(0)
    }

    pub(super) fn move_cursor(&mut self, user: &UserName, conversation: ConversationId, seq: u64) {
        let cursor = self.cursors.entry((user.key().to_owned(), conversation)).or_default();
        *cursor = seq.max(*cursor);
    }

    pub(super) fn come(&mut self, user: UserName) {
        self.online.push(user);
    }

    pub(super) fn go(&mut self, user: &UserName) {
        if let Some(at) = self.online.iter().position(|name| name == user) {
            self.online.remove(at);
        }
    }

    /// Stores a message once; a duplicate returns the first result and `true`.
    pub(super) fn append(&mut self, draft: Draft) -> (Event, bool) {
        let log = self.logs.entry(draft.conversation.clone()).or_default();
        let is_same = |event: &&Event| event.sender == draft.sender && event.client_id == draft.client_id;
        if let Some(event) = log.iter().find(is_same) {
            return (event.clone(), true);
        }
        let at = Timestamp::now();
        let event = draft.into_event(Uuid::now_v7(), log.len() as u64 + 1, at);
        log.push(event.clone());
        (event, false)
    }
}
