//! The state of the full screen.

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

/// Most drafts, one per conversation. Overflow rule: the least recently used is dropped.
const DRAFTS: NonZeroUsize = NonZeroUsize::new(100).unwrap();

/// The state of the connection, for display.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Connection {
    Connecting,
    Up,
    Down,
}

/// A notice, shown in one row until the next key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) text: String,
    pub(super) error: bool,
}

/// The state of the full screen.
#[derive(Debug)]
pub(crate) struct Screen {
    pub(super) me: UserName,
    pub(super) server: String,
    pub(super) look: Look,
    pub(super) zone: Zone,
    pub(super) connection: Connection,
    /// Whether all unread messages have arrived.
    pub(super) live: bool,
    /// Whether they ever had; from then on the open conversation does not change by itself.
    pub(super) settled: bool,
    pub(super) waiting: usize,
    pub(super) list: List,
    pub(super) pane: Option<Pane>,
    pub(super) composer: Composer,
    /// What was in the line when a search was begun; it comes back when that is given up.
    pub(super) before_search: String,
    pub(super) drafts: LruCache<String, Composer>,
    /// Sent lines, the latest last, and the position of the arrow keys among them.
    pub(super) typed: Vec<String>,
    pub(super) recalled: Option<usize>,
    /// The draft while the arrow keys show sent lines.
    pub(super) unfinished: String,
    pub(super) names: Names,
    pub(super) notice: Option<Notice>,
    pub(super) overlay: Overlay,
    pub(super) mouse: bool,
    pub(super) focused: bool,
    pub(super) bell: bool,
    pub(super) dirty: bool,
    /// The areas of the last frame, for the mouse.
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
            before_search: String::new(),
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

    /// Initialises the screen from the history.
    pub(crate) fn begin(&mut self, conversations: Vec<Summary>, typed: Vec<String>) {
        self.list.fill(self.me.as_str(), conversations);
        self.typed = typed;
        self.dirty = true;
    }

    /// Updates the list of conversations.
    pub(crate) fn refill(&mut self, conversations: Vec<Summary>) {
        self.list.fill(self.me.as_str(), conversations);
        self.dirty = true;
    }

    /// The conversation to open if none is open: the latest.
    pub(crate) fn to_open(&self) -> Option<String> {
        if self.pane.is_none() { self.list.latest() } else { None }
    }

    /// Updates the online users, the number of waiting messages, and whether all unread messages have arrived.
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

    /// The partner of the open conversation.
    pub(crate) fn partner(&self) -> Option<&str> {
        self.pane.as_ref().map(|pane| pane.partner.as_str())
    }

    /// The number of unread messages of a partner.
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

    /// Reloads the open conversation from the history.
    pub(crate) fn reload(&mut self, page: Page) {
        if let Some(pane) = self.pane.as_mut().filter(|pane| pane.is_with(&page.partner)) {
            pane.reload(page);
            self.dirty = true;
        }
    }

    /// Scrolls to a message of the open conversation.
    pub(crate) fn find(&mut self, row: i64) {
        if let Some(pane) = &mut self.pane {
            pane.find(row);
        }
        self.dirty = true;
    }

    /// The number of loaded messages of the open conversation.
    pub(crate) fn loaded(&self) -> usize {
        self.pane.as_ref().map_or(0, Pane::len)
    }

    /// Shows search results.
    pub(crate) fn found(&mut self, text: String, entries: Vec<Entry>) {
        self.overlay = Overlay::Results(Results::new(text, entries));
        self.dirty = true;
    }

    /// Shows an item.
    pub(crate) fn show(&mut self, item: Item) {
        self.dirty = true;
        match item {
            Item::News(entry) => self.news(entry),
            Item::Sent(entry) => {
                self.list.spoken(&entry, false, true);
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
            // A notice row would be replaced by the next notice.
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
        // Messages that do not fit are counted as unread after drawing.
        self.list.spoken(&entry, !looked_at, self.live);
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
            // Requests on the old connection are not answered.
            pane.forget_asking();
        }
        match link {
            // The unread messages themselves say more.
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

    /// How far the open conversation was shown; updates its row in the list.
    pub(crate) fn shown(&mut self) -> Option<(ConversationId, u64)> {
        let pane = self.pane.as_ref()?;
        let unseen = u64::try_from(pane.unseen()).unwrap_or(u64::MAX);
        self.dirty |= self.list.left(&pane.partner, unseen);
        let partner = UserName::parse(&pane.partner).ok()?;
        (pane.reached() > 0).then(|| (ConversationId::dm(&self.me, &partner), pane.reached()))
    }

    /// What must be loaded for the visible part.
    pub(crate) fn missing(&mut self) -> Option<Act> {
        let connected = self.connection == Connection::Up;
        Some(match self.pane.as_mut()?.missing(connected)? {
            Missing::Kept => Act::Older,
            Missing::Before(before) => Act::Ask(before),
        })
    }

    /// Requests a complete redraw.
    pub(crate) fn redraw(&mut self) {
        self.dirty = true;
    }

    /// Whether there are changes to draw.
    pub(crate) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Whether to ring the bell; resets it.
    pub(crate) fn take_bell(&mut self) -> bool {
        std::mem::take(&mut self.bell)
    }

    /// The title of the terminal window.
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
