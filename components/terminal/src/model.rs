//! What happens in a chat, decided without doing any of it: what the user types, what the server says, what was kept and shown go
//! in, and [`Effect`]s come out.

use protocol::native::{
    Ack, ClientFrame, ConversationSummary, ErrorFrame, HistoryPage, HistoryRequest, Send, ServerFrame,
    Welcome,
};
use protocol::{Body, ClientId, ConversationId, Event, MessageType, Metadata, Timestamp, UserName};
use transport::{Incoming, SendError};

use crate::command::{self, Command};
use crate::cursors::Cursors;
use crate::history::entry::{Entry, State};
use crate::item::{Item, Link};
use crate::pending::{LIMIT, Pending};
use crate::people::People;
use crate::screen::Act;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Show this.
    Show(Item),
    /// Keep what the user says now, and send it. [`Model::said`] is told.
    Say(Send),
    /// Keep what the server tells. [`Model::kept`] is told what is news.
    Keep(Event),
    /// Keep a page of the past, and show it if it was asked for.
    Past(HistoryPage),
    /// Show so many of the last messages with somebody that are kept.
    Recall(UserName, u32),
    /// Show what is kept that holds this text.
    Search(String),
    /// Keep that a message is stored. [`Model::stored`] is told.
    Settle(Ack),
    /// Keep that a message was refused, for this reason. [`Model::refused`] is told.
    Refuse(ClientId, String),
    /// Show what an earlier session kept and did not come to show.
    Unseen,
    /// Keep what the server knows of the conversations.
    Greet(Vec<ConversationSummary>),
    /// Keep, and tell the server, how far a conversation was shown.
    Seen(ConversationId, u64),
    /// Keep how far a conversation was shown elsewhere.
    SeenElsewhere(ConversationId, u64),
    /// Ask the server this.
    Ask(ClientFrame),
    /// Show the list of conversations as it is now.
    Refill,
    /// Do what the user wants on the screen.
    Do(Act),
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
            return vec![show(Item::Stored { entry, online: true, delayed: false })];
        }
        let mut effects = vec![show(Item::Said(entry))];
        if !self.is_connected() {
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
        let tried = std::mem::replace(&mut self.connection, Connection::Up) != Connection::Opening;
        self.live = false;
        self.me = welcome.name;
        self.people.come(welcome.online);
        let mut unseen: u64 = 0;
        let mut effects = Vec::new();
        for summary in &welcome.conversations {
            self.people.met(&summary.with);
            let shown = self.cursors.known(&summary.conversation, summary.seen);
            if shown > summary.seen {
                // It was shown here, and the server did not hear of it before the end.
                effects.push(Effect::Seen(summary.conversation.clone(), shown.min(summary.head)));
            }
            if shown < summary.head {
                unseen = unseen.saturating_add(summary.unseen);
            }
        }
        effects.push(Effect::Greet(welcome.conversations));
        let (server, me, online) = (self.server.clone(), self.me.to_string(), self.people.online());
        if std::mem::replace(&mut self.greeted, true) {
            effects.push(show(Item::Link(Link::Again { server, me, online })));
            return effects;
        }
        effects.push(show(Item::Link(Link::Up { server, me, online, unseen })));
        if !tried {
            effects.push(Effect::Unseen);
        }
        effects
    }

    fn event(&mut self, event: Event) -> Effects {
        let other = if event.sender == self.me { &event.destination } else { &event.sender };
        self.people.met(other);
        vec![Effect::Keep(event)]
    }

    /// What the server told is kept; `entry` is there where it is news.
    pub(crate) fn kept(&mut self, event: &Event, entry: Option<Entry>) -> Effects {
        match entry {
            Some(entry) => vec![show(Item::News(entry))],
            // What was said here counts as shown; what was told before was shown then.
            None if event.sender == self.me => self.own(&event.conversation, event.seq),
            None => Vec::new(),
        }
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
            ServerFrame::Live => {
                self.live = true;
                return vec![Effect::Refill];
            }
            ServerFrame::Presence { name, online } => return self.presence(name, online),
            ServerFrame::History(page) => return self.page(page),
            ServerFrame::Seen(seen) => {
                self.cursors.known(&seen.conversation, seen.seq);
                return vec![Effect::SeenElsewhere(seen.conversation, seen.seq)];
            }
            ServerFrame::Error(error) => {
                // Only a page can be refused without naming a message.
                self.pages = self.pages.saturating_sub(1);
                return self.wrong(error.message);
            }
            // The client keeps these to itself; a server that sends them out of turn changes nothing.
            ServerFrame::Welcome(_)
            | ServerFrame::Ack(_)
            | ServerFrame::Event(_)
            | ServerFrame::Trace(_)
            | ServerFrame::Pong { .. }
            | ServerFrame::Bye { .. } => {}
        }
        Vec::new()
    }

    fn presence(&mut self, name: UserName, online: bool) -> Effects {
        if !self.people.turn(name.clone(), online) {
            return Vec::new();
        }
        let partner = self.partner.as_ref() == Some(&name);
        vec![show(Item::Presence { name: name.to_string(), online, partner })]
    }

    fn page(&mut self, page: HistoryPage) -> Effects {
        self.pages = self.pages.saturating_sub(1);
        vec![Effect::Past(page)]
    }

    fn disconnected(&mut self, reason: &str) -> Effects {
        let before = std::mem::replace(&mut self.connection, Connection::Down);
        self.pages = 0;
        self.live = false;
        let (reason, waiting) = (reason.to_owned(), self.pending.delay());
        match before {
            Connection::Down => Vec::new(),
            Connection::Opening => {
                let link = Link::Unreachable { server: self.server.clone(), reason, waiting };
                vec![show(Item::Link(link)), Effect::Unseen]
            }
            Connection::Up => vec![show(Item::Link(Link::Lost { reason, waiting }))],
        }
    }

    /// A message has its answer.
    pub(crate) fn answered(&mut self, id: ClientId, answer: Result<Ack, SendError>) -> Effects {
        match answer {
            Ok(ack) => vec![Effect::Settle(ack)],
            Err(SendError::Refused(error)) => vec![Effect::Refuse(id, error.message)],
            // It goes on waiting.
            Err(SendError::Ended) => Vec::new(),
        }
    }

    /// A message of the user's is stored, and that is kept.
    pub(crate) fn stored(&mut self, ack: &Ack, entry: Option<Entry>) -> Effects {
        let mut effects = self.own(&ack.conversation, ack.seq);
        let waiting = self.pending.settle(&ack.client_id);
        if let (Some(waiting), Some(entry)) = (waiting, entry) {
            effects.push(show(Item::Stored { entry, online: ack.online, delayed: waiting.delayed }));
        }
        effects
    }

    /// The server will never take a message of the user's, and that is kept.
    pub(crate) fn refused(&mut self, id: &ClientId, reason: String, entry: Option<Entry>) -> Effects {
        self.failures += 1;
        let waiting = self.pending.settle(id);
        match (waiting, entry) {
            (_, Some(entry)) => vec![show(Item::Refused { entry, reason })],
            (Some(waiting), None) => {
                vec![show(Item::Error(format!("not sent to {}: {reason} ({})", waiting.to, waiting.preview)))]
            }
            (None, None) => Vec::new(),
        }
    }

    /// What the user says can be neither kept nor sent.
    pub(crate) fn unsaid(&mut self, id: &ClientId, error: &str) -> Effects {
        self.pending.settle(id);
        self.wrong(format!("not sent: {error}"))
    }
}

#[cfg(test)]
mod tests;
