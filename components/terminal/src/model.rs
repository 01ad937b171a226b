//! What happens in a chat, decided without doing any of it: what the user types, what the server says, what was kept and shown go
//! in, and [`Effect`]s come out.
//!
//! * [`effect`]: what comes out. [`server`]: what the server says. Here: the state, and what the user says.

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
    /// Not yet, and no attempt has failed.
    Opening,
    /// Not yet, and the user was told that it takes long.
    Late,
    Up,
    Down,
}

/// One user's chat.
#[derive(Debug)]
pub(crate) struct Model {
    me: UserName,
    /// The server as the user knows it.
    server: String,
    connection: Connection,
    greeted: bool,
    /// Everything unseen has come.
    live: bool,
    partner: Option<UserName>,
    people: People,
    pending: Pending,
    cursors: Cursors,
    /// The log that those are places in.
    log: Option<Uuid>,
    /// Pages that were asked for and have not come.
    pages: usize,
    /// What went wrong: lines not understood, messages refused.
    failures: usize,
    /// The user was told, since the connection was lost, that what they say waits.
    told_to_wait: bool,
    /// Who was away when the last message was stored; to say so of each of many helps nobody.
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

    /// What was said in an earlier session and still waits.
    pub(crate) fn waits(&mut self, sends: &[Send]) {
        for send in sends {
            self.people.met(&send.to);
            self.pending.add(send, true);
        }
    }

    /// Whom a line without a name goes to.
    pub(crate) fn partner(&self) -> Option<&UserName> {
        self.partner.as_ref()
    }

    /// The user looks at the conversation with somebody, or with one to whom nothing can be said.
    pub(crate) fn open(&mut self, partner: Option<UserName>) {
        self.partner = partner.map(|partner| self.people.spelling(partner));
        if let Some(partner) = &self.partner {
            self.people.met(partner);
        }
    }

    /// Everybody online.
    pub(crate) fn online(&self) -> Vec<String> {
        self.people.online()
    }

    /// The server as the user knows it.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// Who chats.
    pub(crate) fn me(&self) -> &UserName {
        &self.me
    }

    /// Names that may be meant, for completion, if they changed since they were last taken.
    pub(crate) fn take_names(&mut self) -> Option<Vec<String>> {
        self.people.take_names()
    }

    /// How many messages have no answer yet.
    pub(crate) fn unanswered(&self) -> usize {
        self.pending.len()
    }

    /// Whether nothing more can be said for now.
    pub(crate) fn is_full(&self) -> bool {
        self.pending.is_full()
    }

    /// Whether all that was asked for and all that was unseen has come.
    pub(crate) fn is_up_to_date(&self) -> bool {
        self.live && self.pages == 0
    }

    /// Whether there is a connection.
    pub(crate) fn is_connected(&self) -> bool {
        self.connection == Connection::Up
    }

    /// Whether there ever was a connection.
    pub(crate) fn was_connected(&self) -> bool {
        self.greeted
    }

    /// Whether the user was told how the first attempt to connect goes.
    pub(crate) fn has_tried(&self) -> bool {
        self.connection != Connection::Opening
    }

    /// How often something went wrong that the user asked for.
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

    /// Something the user asked for does not work.
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

    /// The user, or their program, says something.
    pub(crate) fn send(&mut self, mut send: Send) -> Effects {
        if self.pending.is_full() {
            return self.wrong(format!("not sent: {LIMIT} messages wait already; say it again later"));
        }
        send.to = self.people.spelling(send.to);
        self.people.met(&send.to);
        let connected = self.is_connected();
        if !connected {
            // What is said offline keeps the time it was said at.
            send.timestamp.get_or_insert_with(Timestamp::now);
        }
        self.partner = Some(send.to.clone());
        self.pending.add(&send, !connected);
        vec![Effect::Say(send)]
    }

    /// What the user says is kept, and goes out from there.
    pub(crate) fn said(&mut self, entry: Entry) -> Effects {
        if let (State::Stored | State::Refused, Some(id)) = (entry.state, &entry.client_id) {
            // A program says under its own id what it said before: it is done already.
            self.pending.settle(id);
            return vec![show(Item::Stored { entry, online: true, delayed: false, again: false })];
        }
        let mut effects = vec![show(Item::Said(entry))];
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

    /// Every unseen message is shown as it comes, so there is nothing left to fetch.
    fn check(&self) -> Item {
        if !self.is_connected() {
            Item::Notice("not connected: unread messages arrive after reconnecting".to_owned())
        } else if self.live {
            Item::Hint("no unread messages: everything is shown above".to_owned())
        } else {
            Item::Hint("unread messages are still loading".to_owned())
        }
    }

    /// What the user says can be neither kept nor sent.
    pub(crate) fn unsaid(&mut self, id: &ClientId, error: &str) -> Effects {
        self.pending.settle(id);
        self.wrong(format!("not sent: {error}"))
    }
}
