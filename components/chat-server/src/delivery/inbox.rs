//! The queue of one session: it joins what the store replays and what the feed brings into one stream without gaps or duplicates.
//!
//! The life of an event from the feed ([`Inbox::offer`]):
//! * `Live`: it is queued and sent. If the queue is full, the whole queue is dropped; for each of its conversations the `seq` after which
//!   to read goes to the [`Backlog`], and the session is `CatchingUp`.
//! * `CatchingUp`, `Reading`: it waits in the same queue, with a smaller bound and the same overflow rule. If the backlog lists its
//!   conversation it is not queued: it will be read.
//! * A *pass* ([`Inbox::begin_pass`] to [`Inbox::finish_pass`]) reads the backlog from the store; [`Inbox::show`] records what it showed.
//!   If the backlog is empty at the end of a pass, events that were shown are removed from the queue and the session is `Live`; otherwise
//!   another pass follows.
//!
//! Why there is no gap: a session is registered with the feed before its first read, so an event is either committed before that read
//! begins, which then finds it, or is offered afterwards. Why there is no duplicate: an event that the pass showed is skipped when the feed
//! brings it, until the feed is past the position at which the store was read. What an earlier session of the user showed is before the
//! user's cursor, so no pass shows it; but a lagging feed may still bring it to the new session. In line dialects, which have no ids,
//! everything up to the feed position at which a pass began to read unread messages ([`Inbox::reads_unread_from`]) is therefore skipped
//! too: the pass shows it, or it was already read. Not so in the native dialect, where a session of another device may have read it and
//! this one has not.
//!
//! Pure: no clock, no lock, no socket.

mod queue_memory;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use protocol::api::FeedPosition;
use protocol::{ConversationId, Event};

use crate::delivery::last_seqs::LastSeqsByDirection;
use crate::delivery::login_time::LoginTime;
use crate::delivery::rendered::Rendered;
use queue_memory::{QueueMemory, TotalQueueMemory};

/// Conversations for which a pass remembers what it showed. Those that also arrive on the feed moved last.
const SHOWN: usize = 2048;
/// Conversations that a backlog lists. Overflow rule: it becomes "everything unread".
const BACKLOG: usize = 4096;
/// While catching up the queue has this fraction of its bounds: what does not fit is read from the store anyway.
const PENDING_SHARE: usize = 8;

/// The bounds of a queue.
#[derive(Debug, Clone)]
pub(crate) struct QueueLimits {
    events: usize,
    /// Approximate.
    bytes: usize,
    /// The bound of all queues together, shared by those with the same limits.
    all: TotalQueueMemory,
}

impl QueueLimits {
    /// At most this many events and about this many bytes per queue.
    pub(crate) fn new(events: usize, bytes: usize) -> Self {
        Self { events, bytes, all: TotalQueueMemory::default() }
    }
}

/// How the text dialect renders what is read from the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// As stored for a user who was offline.
    Stored,
    /// As stored, except for messages stored since the login: these arrived while the user was online.
    SinceLogin(LoginTime),
    /// As live: the session was online, and slow.
    Live,
}

/// What must be read from the store, in this order.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Backlog {
    /// These conversations after that `seq`, which the client is known to have.
    pub(crate) known: BTreeMap<ConversationId, u64>,
    /// Everything after the user's cursor.
    pub(crate) unread: Option<Style>,
    /// These conversations after that `seq`, where a queue was dropped. They come last: events before the drop may be unread, and would
    /// count as shown once something later was shown.
    pub(crate) gaps: BTreeMap<ConversationId, u64>,
    /// The feed may have lost events of any conversation.
    pub(crate) lost: bool,
}

impl Backlog {
    fn is_empty(&self) -> bool {
        self.known.is_empty() && self.unread.is_none() && self.gaps.is_empty()
    }

    fn names(&self, conversation: &ConversationId) -> bool {
        self.known.contains_key(conversation) || self.gaps.contains_key(conversation)
    }

    fn add(&mut self, event: &Event) {
        let base = event.seq - 1;
        if let Some(gap) = self.gaps.get_mut(&event.conversation) {
            *gap = base.min(*gap);
        } else if self.gaps.len() < BACKLOG {
            self.gaps.insert(event.conversation.clone(), base);
        } else {
            self.add_everything();
        }
    }

    fn add_everything(&mut self) {
        self.unread.get_or_insert(Style::Live);
        self.lost = true;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Live,
    CatchingUp,
    Reading,
}

/// The queue of one session.
///
/// Bound: [`QueueLimits`], and an eighth of them while catching up; beyond 32 KiB per queue, 64 MiB for all sessions. Overflow rule: the
/// queue is dropped, and its events are read from the store when the session is ready for them.
#[derive(Debug)]
pub(crate) struct Inbox {
    state: State,
    queue: VecDeque<Queued>,
    memory: QueueMemory,
    bounds: QueueLimits,
    backlog: Backlog,
    /// What passes have shown.
    shown: LastSeqsByDirection,
    /// Until the feed is past this position, it may bring events that were already shown.
    overlap: Option<FeedPosition>,
    floor: Floor,
    /// The first event of each conversation that the feed brought after the floor, until the session is live.
    ///
    /// Bound: [`BACKLOG`]. Overflow rule: events of further conversations count as stored for an offline user.
    first_seqs: BTreeMap<ConversationId, u64>,
}

#[derive(Debug)]
struct Queued {
    event: Arc<Rendered>,
    own: bool,
    at: FeedPosition,
}

/// The feed position up to which events are skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Floor {
    /// None: the session has ids and is not of a line dialect.
    None,
    /// The pass that determines it has not begun to read.
    Awaited,
    /// Up to this position. Every event of another epoch is skipped: an earlier epoch has ended, and a later one is preceded by
    /// [`Inbox::mark_lost`].
    At(FeedPosition),
}

impl Floor {
    fn covers(self, at: FeedPosition) -> bool {
        match self {
            Self::None | Self::Awaited => false,
            Self::At(floor) => at.epoch != floor.epoch || at.index <= floor.index,
        }
    }

    /// All unread messages must be read again.
    fn reset(&mut self) {
        match self {
            Self::None => {}
            Self::Awaited | Self::At(_) => *self = Self::Awaited,
        }
    }
}

impl Inbox {
    /// An inbox for a session that must read this backlog first. Without `has_ids` the session is its user's only one.
    pub(crate) fn new(bounds: QueueLimits, backlog: Backlog, has_ids: bool) -> Self {
        let state = if backlog.is_empty() { State::Live } else { State::CatchingUp };
        let floor = if has_ids { Floor::None } else { Floor::Awaited };
        let (queue, shown) = (VecDeque::new(), LastSeqsByDirection::new(SHOWN));
        let memory = QueueMemory::new(bounds.all.clone());
        Self {
            state,
            queue,
            memory,
            bounds,
            backlog,
            shown,
            overlap: None,
            floor,
            first_seqs: BTreeMap::new(),
        }
    }

    /// Queues an event that the feed brings at this position; `own` means that the user sent it in another session. Returns whether the
    /// session must wake.
    pub(crate) fn offer(&mut self, event: &Arc<Rendered>, own: bool, at: FeedPosition) -> bool {
        self.forget_overlap_before(at);
        if self.floor.covers(at) {
            return false;
        }
        self.note_arrival(event.event());
        if was_shown(&self.shown, event.event(), own) || self.backlog.names(&event.event().conversation) {
            return false;
        }
        if !self.fits(event.cost()) {
            self.drop_queue();
            self.leave_to_store(event.event());
            return self.leave_live();
        }
        self.memory.set(self.memory.cost() + event.cost());
        self.queue.push_back(Queued { event: Arc::clone(event), own, at });
        self.state == State::Live
    }

    /// Before the floor is known nothing is recorded; what is queued by then is recorded when it becomes known.
    fn note_arrival(&mut self, event: &Event) {
        if self.state != State::Live && matches!(self.floor, Floor::At(_)) {
            note_first(&mut self.first_seqs, event);
        }
    }

    /// Whether an event that the pass read arrived after the session began to read.
    pub(crate) fn arrived_since(&self, event: &Event) -> bool {
        self.first_seqs.get(&event.conversation).is_some_and(|first| event.seq >= *first)
    }

    fn forget_overlap_before(&mut self, at: FeedPosition) {
        if self.overlap.is_some_and(|end| end.epoch == at.epoch && at.index > end.index) {
            self.end_overlap();
        }
    }

    fn end_overlap(&mut self) {
        self.overlap = None;
        self.shown.clear();
    }

    fn fits(&self, cost: usize) -> bool {
        let share = if self.state == State::Live { 1 } else { PENDING_SHARE };
        let cost = self.memory.cost() + cost;
        self.queue.len() < self.bounds.events / share
            && cost <= self.bounds.bytes / share
            && self.memory.has_room_for(cost)
    }

    fn drop_queue(&mut self) {
        for queued in std::mem::take(&mut self.queue) {
            self.leave_to_store(queued.event.event());
        }
        self.memory.set(0);
    }

    /// The event must be read from the store. While the floor is unknown the event may already have been read, which only the cursor tells;
    /// then everything unread is read instead of the conversation from this event on.
    fn leave_to_store(&mut self, event: &Event) {
        match self.floor {
            Floor::Awaited => self.backlog.add_everything(),
            Floor::None | Floor::At(_) => self.backlog.add(event),
        }
    }

    /// Returns whether the session must begin a pass now.
    fn leave_live(&mut self) -> bool {
        self.overlap = None;
        match self.state {
            State::Live => {
                self.state = State::CatchingUp;
                true
            }
            State::CatchingUp | State::Reading => false,
        }
    }

    /// The feed lost events: everything must be read again. Returns whether the session must begin a pass now.
    pub(crate) fn mark_lost(&mut self) -> bool {
        self.drop_queue();
        self.backlog.add_everything();
        self.floor.reset();
        self.leave_live()
    }

    /// The user asks for unread messages.
    pub(crate) fn check(&mut self) {
        self.backlog.unread = Some(Style::Stored);
        self.leave_live();
    }

    /// The next event to send, if live.
    pub(crate) fn next(&mut self) -> Option<Arc<Rendered>> {
        if self.state != State::Live {
            return None;
        }
        let Queued { event, .. } = self.queue.pop_front()?;
        self.memory.set(self.memory.cost() - event.cost());
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
        Some(event)
    }

    /// What to read in the pass that begins now, if one must begin.
    pub(crate) fn begin_pass(&mut self) -> Option<Backlog> {
        if self.state != State::CatchingUp {
            return None;
        }
        self.state = State::Reading;
        Some(std::mem::take(&mut self.backlog))
    }

    /// The pass begins to read unread messages at this position of the feed. Unless they must be read again anyway, events on the feed up
    /// to here will be shown by this pass or were already read.
    pub(crate) fn reads_unread_from(&mut self, position: FeedPosition) {
        if self.floor == Floor::None || self.backlog.unread.is_some() {
            return;
        }
        let floor = Floor::At(position);
        self.floor = floor;
        self.retain(|_, queued| !floor.covers(queued.at));
        self.queue.iter().for_each(|queued| note_first(&mut self.first_seqs, queued.event.event()));
    }

    /// Before this pass the session was sent one direction of a conversation up to here.
    pub(crate) fn note_sent(&mut self, conversation: &ConversationId, seq: u64, own: bool) {
        self.shown.advance(conversation, seq, own);
    }

    /// The pass read an event. Returns whether it is to be shown; it then counts as shown.
    pub(crate) fn show(&mut self, event: &Event, own: bool) -> bool {
        if was_shown(&self.shown, event, own) {
            return false;
        }
        self.shown.advance(&event.conversation, event.seq, own);
        true
    }

    /// The pass has read everything up to this position of the feed; `passed` means that the feed is already there. Returns whether the
    /// session is now live.
    pub(crate) fn finish_pass(&mut self, position: FeedPosition, passed: bool) -> bool {
        if !self.backlog.is_empty() {
            self.state = State::CatchingUp;
            return false;
        }
        self.state = State::Live;
        self.first_seqs = BTreeMap::new();
        self.retain(|shown, queued| !was_shown(shown, queued.event.event(), queued.own));
        self.overlap = Some(position);
        if passed {
            self.end_overlap();
        }
        true
    }

    fn retain(&mut self, keep: impl Fn(&LastSeqsByDirection, &Queued) -> bool) {
        let shown = &self.shown;
        self.queue.retain(|queued| keep(shown, queued));
        self.memory.set(self.queue.iter().map(|queued| queued.event.cost()).sum());
    }

    /// Whether the session has caught up with the store.
    pub(crate) fn is_live(&self) -> bool {
        self.state == State::Live
    }
}

fn note_first(first_seqs: &mut BTreeMap<ConversationId, u64>, event: &Event) {
    if first_seqs.len() < BACKLOG && !first_seqs.contains_key(&event.conversation) {
        first_seqs.insert(event.conversation.clone(), event.seq);
    }
}

fn was_shown(shown: &LastSeqsByDirection, event: &Event, own: bool) -> bool {
    shown.get(&event.conversation, own).is_some_and(|shown| event.seq <= shown)
}

#[cfg(test)]
mod tests;
