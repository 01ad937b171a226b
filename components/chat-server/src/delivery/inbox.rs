//! What waits to be sent to one session, and how what the store replays and what happens meanwhile become one stream without gap
//! or double.
//!
//! The life of an event, as the feed brings it ([`Inbox::offer`]):
//! * `Live`: it is queued, and sent. When the queue is full it is dropped as a whole; for each conversation in it the place where
//!   reading must begin goes to the [`Backlog`], and the session is `CatchingUp`.
//! * `CatchingUp`, `Reading`: it waits in the same queue, with a smaller bound and the same overflow rule. In a conversation that
//!   the backlog names it is not even queued: it will be read.
//! * A *lap* ([`Inbox::begin`] to [`Inbox::finish`]) reads the backlog from the store. [`Inbox::show`] notes what it showed. When a
//!   lap ends and the backlog is empty, the queue loses what was shown and the session is `Live`; otherwise another lap follows.
//!
//! Why there is no gap: a session is known to the feed before its first read, so an event is either committed before that read
//! begins, which then finds it, or is offered after. Why there is no double: whatever the lap showed is passed over when the feed
//! brings it, until the feed is past the position at which the store was read. What an earlier session of the user showed lies below
//! the user's cursor, so no lap shows it; but a feed that lags brings it to the session that came after. So where lines are spoken, which
//! have no ids, everything up to the place in the feed where a lap began to read the unseen ([`Inbox::reads_unseen_from`]) is passed over
//! too: the lap shows it, or it was seen. Not so in the native dialect, where a session of another device may have seen it and this one not.
//!
//! Pure: no clock, no lock, no socket.

mod load;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use protocol::api::FeedPosition;
use protocol::{ConversationId, Event};

use crate::delivery::login_time::LoginTime;
use crate::delivery::positions::Lanes;
use crate::delivery::rendered::Rendered;
use load::{AllQueues, Load};

/// Conversations a lap remembers having shown. The overlap with the feed is among those that moved last.
const SHOWN: usize = 2048;
/// Conversations a backlog names one by one. Overflow rule: it becomes "everything unseen".
const BACKLOG: usize = 4096;
/// While catching up the queue has this part of its bounds: what waits there is read from the store just as well.
const PENDING_SHARE: usize = 8;

/// How much may wait.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    events: usize,
    /// About.
    bytes: usize,
    /// What waits for everybody who has the same bounds is bounded, too.
    all: AllQueues,
}

impl Bounds {
    /// So many events, and about as many bytes, for each of those who share them.
    pub(crate) fn new(events: usize, bytes: usize) -> Self {
        Self { events, bytes, all: AllQueues::default() }
    }
}

/// How what is read from the store is shown in the text dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// As kept for somebody who was offline.
    Stored,
    /// As kept, but for what was stored since the login: that came while the user was online.
    SinceLogin(LoginTime),
    /// As it would have looked live: the session was there, and slow.
    Live,
}

/// What must be read from the store, in this order.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Backlog {
    /// These conversations after that `seq`, which the client is known to hold.
    pub(crate) known: BTreeMap<ConversationId, u64>,
    /// Everything past the user's cursor.
    pub(crate) unseen: Option<Style>,
    /// These conversations after that `seq`, where a queue was dropped. They come last: what lies before the drop may be among the
    /// unseen, and once something later was shown it would pass for shown.
    pub(crate) gaps: BTreeMap<ConversationId, u64>,
    /// The feed may have lost events of any conversation.
    pub(crate) lost: bool,
}

impl Backlog {
    fn is_empty(&self) -> bool {
        self.known.is_empty() && self.unseen.is_none() && self.gaps.is_empty()
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
            self.everything();
        }
    }

    fn everything(&mut self) {
        self.unseen.get_or_insert(Style::Live);
        self.lost = true;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Live,
    CatchingUp,
    Reading,
}

/// One session's queue.
///
/// Bound: [`Bounds`], and an eighth of them while catching up; beyond 32 KiB of each, 64 MiB for all sessions. Overflow rule: the queue
/// is dropped and its events are read from the store when the session gets there.
#[derive(Debug)]
pub(crate) struct Inbox {
    state: State,
    queue: VecDeque<Queued>,
    load: Load,
    bounds: Bounds,
    backlog: Backlog,
    /// What laps have shown.
    shown: Lanes,
    /// Until the feed is past this, what it brings may have been shown.
    overlap: Option<FeedPosition>,
    floor: Floor,
    /// The first event of each conversation that the feed brought past the floor, until the session is live.
    ///
    /// Bound: [`BACKLOG`]. Overflow rule: those of further conversations pass for kept.
    came: BTreeMap<ConversationId, u64>,
}

#[derive(Debug)]
struct Queued {
    event: Arc<Rendered>,
    own: bool,
    at: FeedPosition,
}

/// Up to where what the feed brings is passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Floor {
    /// Nowhere: this session is not one of lines.
    None,
    /// The lap that tells has not begun to read.
    Awaited,
    /// Up to here. In another epoch everything: an earlier one ended before that, and of a later one the session is told first.
    At(FeedPosition),
}

impl Floor {
    fn covers(self, at: FeedPosition) -> bool {
        match self {
            Self::None | Self::Awaited => false,
            Self::At(floor) => at.epoch != floor.epoch || at.index <= floor.index,
        }
    }

    /// Everything unseen is to be read once more.
    fn again(&mut self) {
        match self {
            Self::None => {}
            Self::Awaited | Self::At(_) => *self = Self::Awaited,
        }
    }
}

impl Inbox {
    /// A session that has this to read first. One in a dialect without ids is its user's only one.
    pub(crate) fn new(bounds: Bounds, backlog: Backlog, has_ids: bool) -> Self {
        let state = if backlog.is_empty() { State::Live } else { State::CatchingUp };
        let floor = if has_ids { Floor::None } else { Floor::Awaited };
        let (queue, shown) = (VecDeque::new(), Lanes::new(SHOWN));
        let load = Load::new(bounds.all.clone());
        Self { state, queue, load, bounds, backlog, shown, overlap: None, floor, came: BTreeMap::new() }
    }

    /// The feed brings an event at this position; `own` says that the user sent it elsewhere. Returns whether there is something
    /// new to do.
    pub(crate) fn offer(&mut self, event: &Arc<Rendered>, own: bool, at: FeedPosition) -> bool {
        self.forget_overlap_before(at);
        if self.floor.covers(at) {
            return false;
        }
        self.note_came(event.event());
        if was_shown(&self.shown, event.event(), own) || self.backlog.names(&event.event().conversation) {
            return false;
        }
        if !self.fits(event.cost()) {
            self.drop_queue();
            self.leave_to_store(event.event());
            return self.leave_live();
        }
        self.load.set(self.load.cost() + event.cost());
        self.queue.push_back(Queued { event: Arc::clone(event), own, at });
        self.state == State::Live
    }

    /// What comes before the floor is known is noted when it is.
    fn note_came(&mut self, event: &Event) {
        if self.state != State::Live && matches!(self.floor, Floor::At(_)) {
            note_first(&mut self.came, event);
        }
    }

    /// Whether an event that the lap read came since the session began to read.
    pub(crate) fn came_since(&self, event: &Event) -> bool {
        self.came.get(&event.conversation).is_some_and(|first| event.seq >= *first)
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
        let cost = self.load.cost() + cost;
        self.queue.len() < self.bounds.events / share
            && cost <= self.bounds.bytes / share
            && self.load.may_be(cost)
    }

    fn drop_queue(&mut self) {
        for queued in std::mem::take(&mut self.queue) {
            self.leave_to_store(queued.event.event());
        }
        self.load.set(0);
    }

    /// An event must be read. While the floor is awaited it may have been seen before, which only the cursor tells; so then what
    /// is read is not a conversation from that event on.
    fn leave_to_store(&mut self, event: &Event) {
        match self.floor {
            Floor::Awaited => self.backlog.everything(),
            Floor::None | Floor::At(_) => self.backlog.add(event),
        }
    }

    /// Returns whether the session must begin a lap now.
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

    /// The feed lost events: everything must be read again. Returns whether the session must begin a lap now.
    pub(crate) fn lose(&mut self) -> bool {
        self.drop_queue();
        self.backlog.everything();
        self.floor.again();
        self.leave_live()
    }

    /// The user asks for what is unseen.
    pub(crate) fn check(&mut self) {
        self.backlog.unseen = Some(Style::Stored);
        self.leave_live();
    }

    /// The next event to send, while live.
    pub(crate) fn next(&mut self) -> Option<Arc<Rendered>> {
        if self.state != State::Live {
            return None;
        }
        let Queued { event, .. } = self.queue.pop_front()?;
        self.load.set(self.load.cost() - event.cost());
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
        Some(event)
    }

    /// What to read in the lap that begins now, if one must.
    pub(crate) fn begin(&mut self) -> Option<Backlog> {
        if self.state != State::CatchingUp {
            return None;
        }
        self.state = State::Reading;
        Some(std::mem::take(&mut self.backlog))
    }

    /// The lap begins to read everything unseen, at this position of the feed. Unless that must be read once more anyway, what was
    /// on the feed by then will be shown by this lap or was seen.
    pub(crate) fn reads_unseen_from(&mut self, position: FeedPosition) {
        if self.floor == Floor::None || self.backlog.unseen.is_some() {
            return;
        }
        let floor = Floor::At(position);
        self.floor = floor;
        self.retain(|_, queued| !floor.covers(queued.at));
        self.queue.iter().for_each(|queued| note_first(&mut self.came, queued.event.event()));
    }

    /// The session was sent a lane of a conversation up to here before this lap.
    pub(crate) fn note_sent(&mut self, conversation: &ConversationId, seq: u64, own: bool) {
        self.shown.advance(conversation, seq, own);
    }

    /// The lap read an event. Returns whether it is to be shown; then it counts as shown.
    pub(crate) fn show(&mut self, event: &Event, own: bool) -> bool {
        if was_shown(&self.shown, event, own) {
            return false;
        }
        self.shown.advance(&event.conversation, event.seq, own);
        true
    }

    /// The lap has read everything up to this position of the feed; `passed` says that the feed is there already. Returns whether
    /// the session is live now.
    pub(crate) fn finish(&mut self, position: FeedPosition, passed: bool) -> bool {
        if !self.backlog.is_empty() {
            self.state = State::CatchingUp;
            return false;
        }
        self.state = State::Live;
        self.came = BTreeMap::new();
        self.retain(|shown, queued| !was_shown(shown, queued.event.event(), queued.own));
        self.overlap = Some(position);
        if passed {
            self.end_overlap();
        }
        true
    }

    fn retain(&mut self, keep: impl Fn(&Lanes, &Queued) -> bool) {
        let shown = &self.shown;
        self.queue.retain(|queued| keep(shown, queued));
        self.load.set(self.queue.iter().map(|queued| queued.event.cost()).sum());
    }

    /// Whether everything the store had was shown.
    pub(crate) fn is_live(&self) -> bool {
        self.state == State::Live
    }
}

fn note_first(came: &mut BTreeMap<ConversationId, u64>, event: &Event) {
    if came.len() < BACKLOG && !came.contains_key(&event.conversation) {
        came.insert(event.conversation.clone(), event.seq);
    }
}

fn was_shown(shown: &Lanes, event: &Event, own: bool) -> bool {
    shown.get(&event.conversation, own).is_some_and(|shown| event.seq <= shown)
}

#[cfg(test)]
mod tests;
