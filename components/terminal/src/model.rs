//! The chat's pure state machine: user input, server frames, and results of saving and showing go in, [`Effect`]s come out.
//!
//! * [`effect`]: the effects. [`server`]: server frames. Here: the state, and user input.

mod effect;
mod server;
#[cfg(test)]
mod tests;

use protocol::native::{ClientFrame, HistoryRequest, Send};
use protocol::{Body, ClientId, MessageType, Metadata, Timestamp, UserName};
use uuid::Uuid;

use crate::command::{self, Command};
use crate::cursors::Cursors;
use crate::history::entry::{Entry, State};
use crate::item::Item;
use crate::pending::{LIMIT, Pending};
use crate::people::People;
pub(crate) use effect::Effect;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Connection {
    /// Not connected yet; no attempt has failed.
    Opening,
    /// Not connected yet; the user was told that it takes long.
    Late,
    Up,
    Down,
}

/// One user's chat.
#[derive(Debug)]
pub(crate) struct Model {
    me: UserName,
    /// The server's address for display.
    server: String,
    connection: Connection,
    greeted: bool,
    /// All unread messages have arrived.
    live: bool,
    partner: Option<UserName>,
    people: People,
    pending: Pending,
    cursors: Cursors,
    /// The log to which the cursors belong.
    log: Option<Uuid>,
    /// The number of requested pages that have not arrived.
    pages: usize,
    /// The number of failures: invalid lines and rejected messages.
    failures: usize,
    /// Whether the user was told, since the connection was lost, that messages wait.
    told_to_wait: bool,
    /// The recipient that was offline at the last message, so that this is reported only once.
    away: Option<UserName>,
}

type Effects = Vec<Effect>;

fn show(item: Item) -> Effect {
    Effect::Show(item)
}

impl Model {
    pub(crate) fn new(me: UserName, server: String) -> Self {
        Self {
            me,
            server,
            connection: Connection::Opening,
            greeted: false,
            live: false,
            partner: None,
            people: People::default(),
            pending: Pending::default(),
            cursors: Cursors::default(),
            log: None,
            pages: 0,
            failures: 0,
            told_to_wait: false,
            away: None,
        }
    }

    /// Adds messages of an earlier session that still wait.
    pub(crate) fn waits(&mut self, sends: &[Send]) {
        for send in sends {
            self.people.met(&send.to);
            self.pending.add(send, true);
        }
    }

    /// The recipient of lines without a name.
    pub(crate) fn partner(&self) -> Option<&UserName> {
        self.partner.as_ref()
    }

    /// The user opened a conversation; `None` if its partner cannot be written to.
    pub(crate) fn open(&mut self, partner: Option<UserName>) {
        self.partner = partner.map(|partner| self.people.spelling(partner));
        if let Some(partner) = &self.partner {
            self.people.met(partner);
        }
    }

    /// All online users.
    pub(crate) fn online(&self) -> Vec<String> {
        self.people.online()
    }

    /// The server's address for display.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// The user.
    pub(crate) fn me(&self) -> &UserName {
        &self.me
    }

    /// Names for completion, if they changed since the last call.
    pub(crate) fn take_names(&mut self) -> Option<Vec<String>> {
        self.people.take_names()
    }

    /// The number of unanswered messages.
    pub(crate) fn unanswered(&self) -> usize {
        self.pending.len()
    }

    /// Whether the limit of unanswered messages is reached.
    pub(crate) fn is_full(&self) -> bool {
        self.pending.is_full()
    }

    /// Whether all requested and unread messages have arrived.
    pub(crate) fn is_up_to_date(&self) -> bool {
        self.live && self.pages == 0
    }

    /// Whether the chat is connected.
    pub(crate) fn is_connected(&self) -> bool {
        self.connection == Connection::Up
    }

    /// Whether the chat was ever connected.
    pub(crate) fn was_connected(&self) -> bool {
        self.greeted
    }

    /// Whether the user was told about the first attempt to connect.
    pub(crate) fn has_tried(&self) -> bool {
        self.connection != Connection::Opening
    }

    /// The number of failures.
    pub(crate) fn failures(&self) -> usize {
        self.failures
    }

    /// The user typed a line.
    pub(crate) fn typed(&mut self, line: &str) -> Effects {
        match command::parse(line, self.partner.as_ref()) {
            Command::Nothing => Vec::new(),
            Command::Leave => vec![Effect::Leave],
            Command::Say { to, body } => self.say(to, body),
            Command::Talk(to) => self.talk(to),
            Command::Who => vec![show(Item::Answer(self.who()))],
            Command::History { with, count } => self.history(with, count),
            Command::Search(text) => vec![Effect::Search(text)],
            Command::Check => vec![show(self.check())],
            Command::Help => {
                command::HELP.iter().map(|line| show(Item::Answer((*line).to_owned()))).collect()
            }
            Command::Wrong(error) => self.wrong(error),
        }
    }

    /// Reports and counts a failure.
    pub(crate) fn wrong(&mut self, error: String) -> Effects {
        self.failures += 1;
        vec![show(Item::Error(error))]
    }

    fn say(&mut self, to: UserName, body: Body) -> Effects {
        self.send(Send {
            client_id: ClientId::fresh(),
            to,
            body,
            kind: MessageType::Chat,
            metadata: Metadata::default(),
            timestamp: None,
            trace: false,
        })
    }

    /// The user or their program sends a message.
    pub(crate) fn send(&mut self, mut send: Send) -> Effects {
        if self.pending.is_full() {
            return self.wrong(format!("not sent: {LIMIT} messages wait already; say it again later"));
        }
        send.to = self.people.spelling(send.to);
        self.people.met(&send.to);
        let connected = self.is_connected();
        if !connected {
            // A message written offline keeps its time.
            send.timestamp.get_or_insert_with(Timestamp::now);
        }
        self.partner = Some(send.to.clone());
        self.pending.add(&send, !connected);
        vec![Effect::Say(send)]
    }

    /// A message of the user was saved, and is sent from the history.
    pub(crate) fn saved(&mut self, entry: Entry) -> Effects {
        if let (State::Stored | State::Refused, Some(id)) = (entry.state, &entry.client_id) {
            // A program repeated a message under its own id: it is already stored.
            self.pending.settle(id);
            return vec![show(Item::Stored { entry, online: true, delayed: false, again: false })];
        }
        let mut effects = vec![show(Item::Sent(entry))];
        if !self.is_connected() && !std::mem::replace(&mut self.told_to_wait, true) {
            let text = "not connected: your messages are saved and sent once the server is back";
            effects.push(show(Item::Notice(text.to_owned())));
        }
        effects
    }

    fn talk(&mut self, to: UserName) -> Effects {
        let to = self.people.spelling(to);
        self.people.met(&to);
        let presence = if self.people.is_online(&to) { "online" } else { "offline; what you say is kept" };
        let hint = format!("talking with {to}, who is {presence}");
        self.partner = Some(to);
        if self.is_connected() { vec![show(Item::Hint(hint))] } else { Vec::new() }
    }

    fn who(&self) -> String {
        if self.is_connected() {
            format!("online: {}", self.people.online().join(", "))
        } else {
            "not connected, so nobody knows".to_owned()
        }
    }

    fn history(&mut self, with: UserName, count: u32) -> Effects {
        if !self.is_connected() {
            return vec![Effect::Recall(with, count)];
        }
        self.pages += 1;
        vec![Effect::Ask(ClientFrame::History(HistoryRequest { with, before: None, limit: Some(count) }))]
    }

    /// Unread messages are shown as they arrive, so there is nothing to fetch.
    fn check(&self) -> Item {
        if !self.is_connected() {
            Item::Notice("not connected: unread messages arrive after reconnecting".to_owned())
        } else if self.live {
            Item::Hint("no unread messages: everything is shown above".to_owned())
        } else {
            Item::Hint("unread messages are still loading".to_owned())
        }
    }

    /// A message of the user can neither be saved nor sent.
    pub(crate) fn not_saved(&mut self, id: &ClientId, error: &str) -> Effects {
        self.pending.settle(id);
        self.wrong(format!("not sent: {error}"))
    }
}
