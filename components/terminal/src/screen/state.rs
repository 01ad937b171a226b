//! What is on the screen.

use std::num::NonZeroUsize;

use lru::LruCache;
use protocol::{ConversationId, Timestamp, UserName};

use super::composer::Composer;
use super::list::List;
use super::overlay::Overlay;
use super::pane::{Missing, Pane};
use super::places::Places;
use super::reading::Reading;
use super::results::Results;
use super::theme::Look;
use crate::clean;
use crate::clock::Zone;
use crate::completion::Names;
use crate::history::entry::{Entry, key_of};
use crate::history::read::{Page, Summary};
use crate::item::{Item, Link};
use crate::typed::Act;

/// Unfinished lines that are remembered, one for each conversation. Overflow rule: the one longest left is forgotten.
const DRAFTS: NonZeroUsize = NonZeroUsize::new(100).unwrap();

/// The connection as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Connection {
    Connecting,
    Up,
    Down,
}

/// What is said about the chat, in one row until the next key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) text: String,
    pub(super) error: bool,
}

/// What is on the screen.
#[derive(Debug)]
pub(crate) struct Screen {
    pub(super) me: UserName,
    pub(super) server: String,
    pub(super) look: Look,
    pub(super) zone: Zone,
    pub(super) connection: Connection,
    /// What was said before the connection came has all come.
    pub(super) live: bool,
    /// It had once: from then on the user may look elsewhere.
    pub(super) settled: bool,
    pub(super) waiting: usize,
    pub(super) list: List,
    pub(super) pane: Option<Pane>,
    pub(super) composer: Composer,
    pub(super) drafts: LruCache<String, Composer>,
    /// Lines that were sent, the latest last, and where the arrow keys are among them.
    pub(super) typed: Vec<String>,
    pub(super) recalled: Option<usize>,
    /// What was being written when the arrow keys went there.
    pub(super) unfinished: String,
    pub(super) names: Names,
    pub(super) notice: Option<Notice>,
    pub(super) overlay: Overlay,
    pub(super) mouse: bool,
    pub(super) focused: bool,
    pub(super) bell: bool,
    pub(super) dirty: bool,
    /// Where things were drawn last, for the mouse.
    pub(super) places: Places,
}

impl Screen {
    pub(super) fn new(look: Look, zone: Zone, me: UserName, server: String, names: Names) -> Self {
        Self {
            me,
            server,
            look,
            zone,
            connection: Connection::Connecting,
            live: false,
            settled: false,
            waiting: 0,
            list: List::default(),
            pane: None,
            composer: Composer::default(),
            drafts: LruCache::sparse(DRAFTS),
            typed: Vec::new(),
            recalled: None,
            unfinished: String::new(),
            names,
            notice: None,
            overlay: Overlay::None,
            mouse: false,
            focused: true,
            bell: false,
            dirty: true,
            places: Places::default(),
        }
    }

    /// What the history knows at the beginning.
    pub(crate) fn begin(&mut self, conversations: Vec<Summary>, typed: Vec<String>) {
        self.list.fill(self.me.as_str(), conversations);
        self.typed = typed;
        self.dirty = true;
    }

    /// The conversations as they are now.
    pub(crate) fn refill(&mut self, conversations: Vec<Summary>) {
        self.list.fill(self.me.as_str(), conversations);
        self.dirty = true;
    }

    /// The conversation to open because none is: the latest one.
    pub(crate) fn to_open(&self) -> Option<String> {
        if self.pane.is_none() { self.list.latest() } else { None }
    }

    /// Who is online, how many messages wait, and whether all that was said before has come.
    pub(crate) fn keep_current(&mut self, online: Option<Vec<String>>, waiting: usize, live: bool) {
        self.live = live;
        self.settled |= live;
        if let Some(online) = online {
            self.list.come(online);
            self.dirty = true;
        }
        self.dirty |= self.waiting != waiting;
        self.waiting = waiting;
    }

    /// Whose conversation is open.
    pub(crate) fn partner(&self) -> Option<&str> {
        self.pane.as_ref().map(|pane| pane.partner.as_str())
    }

    /// How many messages of somebody's were not shown yet.
    pub(crate) fn unseen(&self, partner: &str) -> u64 {
        let rows = self.list.rows();
        rows.iter().find(|row| key_of(&row.partner) == key_of(partner)).map_or(0, |row| row.unseen)
    }

    /// Opens a conversation.
    pub(crate) fn open(&mut self, page: Page) {
        let unseen = self.unseen(&page.partner);
        if let Some(pane) = self.pane.take() {
            let draft = std::mem::take(&mut self.composer);
            if !draft.is_empty() {
                self.drafts.put(key_of(&pane.partner), draft);
            }
        }
        if let Some(draft) = self.drafts.pop(&key_of(&page.partner)) {
            self.composer = draft;
        }
        self.recalled = None;
        self.list.open(&page.partner);
        self.pane = Some(Pane::new(page, unseen));
        self.overlay = Overlay::None;
        self.dirty = true;
    }

    /// The open conversation as it is kept now.
    pub(crate) fn reload(&mut self, page: Page) {
        if let Some(pane) = self.pane.as_mut().filter(|pane| pane.is_with(&page.partner)) {
            pane.reload(page);
            self.dirty = true;
        }
    }

    /// Shows a message of the open conversation.
    pub(crate) fn find(&mut self, row: i64) {
        if let Some(pane) = &mut self.pane {
            pane.find(row);
        }
        self.dirty = true;
    }

    /// How many messages of the open conversation are loaded.
    pub(crate) fn loaded(&self) -> usize {
        self.pane.as_ref().map_or(0, Pane::len)
    }

    /// What a search found.
    pub(crate) fn found(&mut self, text: String, entries: Vec<Entry>) {
        self.overlay = Overlay::Results(Results::new(text, entries));
        self.dirty = true;
    }

    /// Something happened.
    pub(crate) fn show(&mut self, item: Item) {
        self.dirty = true;
        match item {
            Item::News(entry) => self.news(entry),
            Item::Said(entry) => {
                self.list.spoken(&entry, false);
                if let Some(pane) = self.open_with(&entry) {
                    pane.scroll_down(usize::MAX);
                    pane.put(entry, true);
                }
            }
            Item::Stored { entry, .. } => {
                if let Some(pane) = self.open_with(&entry) {
                    pane.put(entry, true);
                }
            }
            Item::Refused { entry, reason } => {
                self.notice(&format!("not sent to {}: {reason}", entry.partner), true);
                if let Some(pane) = self.open_with(&entry) {
                    pane.put(entry, true);
                }
            }
            Item::Past(_) => {}
            Item::Link(link) => self.link(&link),
            Item::Presence { .. } => {}
            // A row of its own would be gone with the next thing that is said there.
            Item::Answer(text) | Item::Trouble(text) => self.answer(text),
            Item::Notice(text) | Item::Hint(text) => self.notice(&text, false),
            Item::Error(text) => self.notice(&text, true),
        }
    }

    pub(super) fn open_with(&mut self, entry: &Entry) -> Option<&mut Pane> {
        self.pane.as_mut().filter(|pane| pane.is_with(&entry.partner))
    }

    fn news(&mut self, entry: Entry) {
        let looked_at = self.focused && self.open_with(&entry).is_some_and(|pane| pane.is_following());
        self.bell |= self.settled && !entry.outgoing && !looked_at;
        // What does not fit on the screen is counted when the picture is there.
        self.list.spoken(&entry, !looked_at);
        let looked_at = looked_at && self.live;
        if let Some(pane) = self.open_with(&entry) {
            pane.put(entry, looked_at);
        }
    }

    fn link(&mut self, link: &Link) {
        self.connection = match link {
            Link::Up { .. } | Link::Again { .. } => {
                self.live = false;
                Connection::Up
            }
            Link::Late { .. } => Connection::Connecting,
            Link::Lost { .. } | Link::Unreachable { .. } => Connection::Down,
        };
        if let Some(pane) = &mut self.pane {
            // What it was asked on the old connection has no answer.
            pane.forget_asking();
        }
        match link {
            // What there is to read says more.
            Link::Up { unseen: 1.., .. } => self.notice = None,
            Link::Up { server, me, unseen: 0, .. } => {
                self.notice(&format!("connected to {server} as {me}"), false)
            }
            Link::Again { .. } => self.notice("reconnected", false),
            Link::Late { server, .. } => {
                self.notice(&format!("{server} has not answered yet; still trying"), false)
            }
            Link::Lost { reason, .. } => {
                self.notice(&format!("connection lost ({reason}); reconnecting"), true)
            }
            Link::Unreachable { server, reason, .. } => {
                self.notice(&format!("cannot reach {server} ({reason}); retrying"), true);
            }
        }
    }

    pub(super) fn notice(&mut self, text: &str, error: bool) {
        self.notice = Some(Notice { text: clean::one_line(text), error });
    }

    pub(super) fn answer(&mut self, text: String) {
        let text = clean::one_line(&text);
        if !matches!(self.overlay, Overlay::Answers(_)) {
            self.overlay = Overlay::Answers(Reading::default());
        }
        if let Overlay::Answers(answers) = &mut self.overlay {
            answers.add(text);
        }
    }

    /// How far the open conversation was shown, and where its row stands now.
    pub(crate) fn shown(&mut self) -> Option<(ConversationId, u64)> {
        let pane = self.pane.as_ref()?;
        let unseen = u64::try_from(pane.unseen()).unwrap_or(u64::MAX);
        self.dirty |= self.list.left(&pane.partner, unseen);
        let partner = UserName::parse(&pane.partner).ok()?;
        (pane.reached() > 0).then(|| (ConversationId::dm(&self.me, &partner), pane.reached()))
    }

    /// What has to be loaded for what is looked at.
    pub(crate) fn missing(&mut self) -> Option<Act> {
        let connected = self.connection == Connection::Up;
        Some(match self.pane.as_mut()?.missing(connected)? {
            Missing::Kept => Act::Older,
            Missing::Before(before) => Act::Ask(before),
        })
    }

    /// Everything is to be drawn again.
    pub(crate) fn redraw(&mut self) {
        self.dirty = true;
    }

    /// Whether there is something new to draw.
    pub(crate) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Whether the bell is to be rung, once.
    pub(crate) fn take_bell(&mut self) -> bool {
        std::mem::take(&mut self.bell)
    }

    /// The title of the terminal's window.
    pub(crate) fn title(&self) -> String {
        match self.list.unseen() {
            0 => format!("P2P Chat: {}", self.me),
            n => format!("({n}) P2P Chat: {}", self.me),
        }
    }

    pub(super) fn today(&self) -> crate::clock::Day {
        self.zone.moment(Timestamp::now()).day
    }
}
