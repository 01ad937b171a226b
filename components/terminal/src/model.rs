//! What happens in a chat, decided without doing any of it: what the user types, what the server says, what was shown go in, and
//! [`Effect`]s come out.

use protocol::native::{
    Ack, ClientFrame, ErrorFrame, HistoryPage, HistoryRequest, Send, ServerFrame, Welcome,
};
use protocol::{Body, ClientId, ConversationId, Event, MessageType, Metadata, Timestamp, UserName};
use transport::{Incoming, SendError};

use crate::command::{self, Command};
use crate::cursors::Cursors;
use crate::item::Item;
use crate::pending::{LIMIT, Pending, Waiting};
use crate::people::People;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Show this.
    Show(Item),
    /// Say this.
    Send(Send),
    /// Ask the server this.
    Ask(ClientFrame),
    /// Tell the server how far a conversation was shown.
    Seen(ConversationId, u64),
    /// The user wants to leave.
    Leave,
    /// The server will not have this name.
    Rejected(Box<ErrorFrame>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Connection {
    /// Not yet, and no attempt has failed.
    Opening,
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
    /// Pages that were asked for and have not come.
    pages: usize,
    /// What went wrong: lines not understood, messages refused.
    failures: usize,
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
            pages: 0,
            failures: 0,
        }
    }

    /// Whom a line without a name goes to.
    pub(crate) fn partner(&self) -> Option<&UserName> {
        self.partner.as_ref()
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

    /// Whether it is known how the first attempt to connect went.
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
        if self.pending.is_full() {
            return self.wrong(format!("not sent: {LIMIT} messages wait already; say it again later"));
        }
        let to = self.people.spelling(to);
        self.people.met(&to);
        let connected = self.is_connected();
        let send = Send {
            client_id: ClientId::fresh(),
            to: to.clone(),
            body,
            kind: MessageType::Chat,
            metadata: Metadata::default(),
            // What is said offline keeps the time it was said at.
            timestamp: (!connected).then(Timestamp::now),
        };
        self.partner = Some(to);
        self.pending.add(&send, !connected);
        let mut effects = vec![Effect::Send(send)];
        if !connected {
            effects
                .push(show(Item::Notice("not connected: this message waits and goes out by itself".into())));
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
            format!("online: {}", self.people.online())
        } else {
            "not connected, so nobody knows".to_owned()
        }
    }

    fn history(&mut self, with: UserName, count: u32) -> Effects {
        if !self.is_connected() {
            return self.wrong("not connected: ask again when the connection is back".to_owned());
        }
        self.pages += 1;
        vec![Effect::Ask(ClientFrame::History(HistoryRequest { with, before: None, limit: Some(count) }))]
    }

    /// Every unseen message is shown as it comes, so there is nothing left to fetch.
    fn check(&self) -> Item {
        if !self.is_connected() {
            Item::Notice("not connected: what is unseen comes when the connection is back".to_owned())
        } else if self.live {
            Item::Hint("nothing is unseen: every message is above".to_owned())
        } else {
            Item::Hint("unseen messages are still coming".to_owned())
        }
    }

    /// The server said something, or the connection came or went.
    pub(crate) fn heard(&mut self, incoming: Incoming) -> Effects {
        match incoming {
            Incoming::Connected(welcome) => self.connected(*welcome),
            Incoming::Event(frame) => self.event(frame.event),
            Incoming::Frame(frame) => self.frame(*frame),
            Incoming::Disconnected { reason, .. } => self.disconnected(&reason),
            Incoming::Rejected(error) => vec![Effect::Rejected(error)],
        }
    }

    fn connected(&mut self, welcome: Welcome) -> Effects {
        self.connection = Connection::Up;
        self.live = false;
        self.me = welcome.name;
        self.people.come(welcome.online);
        let mut unseen: u64 = 0;
        for summary in welcome.conversations {
            unseen = unseen.saturating_add(summary.unseen);
            self.cursors.known(&summary.conversation, summary.seen);
            self.people.met(&summary.with);
        }
        if std::mem::replace(&mut self.greeted, true) {
            return vec![show(Item::Notice("connected again".to_owned()))];
        }
        let mut effects = vec![
            show(Item::Hint(format!(
                "connected to {} as {}; /help shows what can be typed",
                self.server, self.me
            ))),
            show(Item::Hint(self.who())),
        ];
        match unseen {
            0 => {}
            1 => effects.push(show(Item::Hint("one message while you were away:".to_owned()))),
            n => effects.push(show(Item::Hint(format!("{n} messages while you were away:")))),
        }
        effects
    }

    fn event(&mut self, event: Event) -> Effects {
        if event.sender == self.me && self.pending.is_own(&event.client_id) {
            return self.own(&event.conversation, event.seq);
        }
        let other = if event.sender == self.me { &event.destination } else { &event.sender };
        self.people.met(other);
        vec![show(Item::Event(event))]
    }

    fn own(&mut self, conversation: &ConversationId, seq: u64) -> Effects {
        let moved = self.cursors.own(conversation, seq);
        moved.map(|seq| Effect::Seen(conversation.clone(), seq)).into_iter().collect()
    }

    /// A message is on the screen.
    pub(crate) fn shown(&mut self, conversation: &ConversationId, seq: u64) -> Effects {
        let moved = self.cursors.shown(conversation, seq);
        moved.map(|seq| Effect::Seen(conversation.clone(), seq)).into_iter().collect()
    }

    fn frame(&mut self, frame: ServerFrame) -> Effects {
        match frame {
            ServerFrame::Live => self.live = true,
            ServerFrame::Presence { name, online } => return self.presence(name, online),
            ServerFrame::History(page) => return self.page(page),
            ServerFrame::Seen(seen) => self.cursors.known(&seen.conversation, seen.seq),
            ServerFrame::Error(error) => {
                // Only a page can be refused without naming a message.
                self.pages = self.pages.saturating_sub(1);
                return self.wrong(error.message);
            }
            // The client keeps these to itself; a server that sends them out of turn changes nothing.
            ServerFrame::Welcome(_)
            | ServerFrame::Ack(_)
            | ServerFrame::Event(_)
            | ServerFrame::Pong { .. }
            | ServerFrame::Bye { .. } => {}
        }
        Vec::new()
    }

    fn presence(&mut self, name: UserName, online: bool) -> Effects {
        let changed = self.people.turn(name.clone(), online);
        if !changed || self.partner.as_ref() != Some(&name) {
            return Vec::new();
        }
        let state = if online { "online" } else { "offline" };
        vec![show(Item::Hint(format!("{name} is {state}")))]
    }

    fn page(&mut self, page: HistoryPage) -> Effects {
        self.pages = self.pages.saturating_sub(1);
        if page.events.is_empty() {
            return vec![show(Item::Answer(format!("nothing was said yet between you and {}", page.with)))];
        }
        page.events.into_iter().map(|event| show(Item::Past(event))).collect()
    }

    fn disconnected(&mut self, reason: &str) -> Effects {
        let before = std::mem::replace(&mut self.connection, Connection::Down);
        self.pages = 0;
        self.live = false;
        let waiting = match self.pending.delay() {
            0 => String::new(),
            1 => "; one message waits".to_owned(),
            n => format!("; {n} messages wait"),
        };
        match before {
            Connection::Down => Vec::new(),
            Connection::Opening => {
                let server = &self.server;
                vec![show(Item::Notice(format!("cannot reach {server} ({reason}); trying on{waiting}")))]
            }
            Connection::Up => {
                vec![show(Item::Notice(format!(
                    "connection lost ({reason}); trying to get it back{waiting}"
                )))]
            }
        }
    }

    /// A message has its answer.
    pub(crate) fn answered(&mut self, id: &ClientId, answer: Result<Ack, SendError>) -> Effects {
        let Some(waiting) = self.pending.settle(id) else { return Vec::new() };
        match answer {
            Ok(ack) => {
                let mut effects = self.own(&ack.conversation, ack.seq);
                effects.extend(stored(&waiting, ack.online).map(|text| show(Item::Notice(text))));
                effects
            }
            Err(error) => self.wrong(format!("not sent to {}: {error} ({})", waiting.to, waiting.preview)),
        }
    }
}

/// What to say about a message that is stored: nothing, if it just went through.
fn stored(waiting: &Waiting, online: bool) -> Option<String> {
    let Waiting { to, preview, delayed } = waiting;
    match (delayed, online) {
        (false, true) => None,
        (false, false) => Some(format!("{to} is offline; saved")),
        (true, true) => Some(format!("sent to {to}: {preview}")),
        (true, false) => Some(format!("{to} is offline; saved: {preview}")),
    }
}

#[cfg(test)]
mod tests;
