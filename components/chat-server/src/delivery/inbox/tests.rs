//! The inbox against a model: a store, a feed that lags behind it, and a session that reads both in random order.

use super::*;
use proptest::prelude::*;
use protocol::Timestamp;

use crate::sample::{self, name};
use uuid::Uuid;

const ME: &str = "me";

fn event(with: &str, seq: u64, own: bool) -> Event {
    let (from, to) = if own { (ME, with) } else { (with, ME) };
    sample::event(from, to, seq)
}

fn at(index: u64) -> FeedPosition {
    FeedPosition { epoch: Uuid::nil(), index }
}

/// A store with a log, a feed that is `dispatched` events into it, and one session.
struct World {
    log: Vec<Arc<Rendered>>,
    dispatched: usize,
    inbox: Inbox,
    pass: Option<Pass>,
    /// What the session was sent, in order.
    sent: Vec<(ConversationId, u64)>,
    /// The length of the log when the session began.
    cursor: usize,
}

/// A pass in progress: unread messages from this index on, then conversations.
struct Pass {
    unread_from: Option<usize>,
    gaps: Vec<(ConversationId, u64)>,
}

impl World {
    fn new(before: usize, bounds: QueueLimits) -> Self {
        let backlog = Backlog { unread: Some(Style::Stored), ..Backlog::default() };
        let inbox = Inbox::new(bounds, backlog, false);
        let mut world =
            Self { log: Vec::new(), dispatched: 0, inbox, pass: None, sent: Vec::new(), cursor: 0 };
        for n in 0..before {
            world.commit(n % 3);
        }
        // Half of the log was read in an earlier session; the feed has yet to bring some of it.
        world.cursor = before / 2;
        world.dispatched = before / 4;
        world
    }

    fn commit(&mut self, with: usize) {
        let with = ["anna", "ben", "carla"][with];
        let seq = self.log.iter().filter(|e| e.event().sender == name(with)).count() as u64 + 1;
        self.log.push(Arc::new(Rendered::new(event(with, seq, false), None)));
    }

    fn dispatch(&mut self) {
        if let Some(event) = self.log.get(self.dispatched).cloned() {
            self.dispatched += 1;
            self.inbox.offer(&event, false, at(self.dispatched as u64));
        }
    }

    fn begin(&mut self) {
        if self.pass.is_none()
            && let Some(backlog) = self.inbox.begin_pass()
        {
            let sent = if backlog.unread.is_some() { self.sent.clone() } else { Vec::new() };
            for (conversation, seq) in sent {
                self.inbox.note_sent(&conversation, seq, false);
            }
            let unread_from = backlog.unread.map(|_| self.cursor);
            self.pass = Some(Pass { unread_from, gaps: backlog.gaps.into_iter().collect() });
        }
    }

    /// Reads a page of at most two events, or ends the pass.
    fn read(&mut self) {
        let Some(mut pass) = self.pass.take() else { return };
        let page: Vec<Arc<Rendered>> = if let Some(from) = pass.unread_from {
            if from == self.cursor {
                self.inbox.reads_unread_from(at(self.log.len() as u64));
            }
            let page: Vec<_> = self.log[from..].iter().take(2).cloned().collect();
            pass.unread_from = (!page.is_empty()).then_some(from + page.len());
            page
        } else if let Some((conversation, after)) = pass.gaps.pop() {
            let rest = |e: &&Arc<Rendered>| e.event().conversation == conversation && e.event().seq > after;
            let page: Vec<_> = self.log.iter().filter(rest).take(2).cloned().collect();
            if let Some(last) = page.last() {
                pass.gaps.push((conversation.clone(), last.event().seq));
            }
            page
        } else {
            let end = self.log.len();
            self.inbox.finish_pass(at(end as u64), self.dispatched >= end);
            return;
        };
        for event in page {
            if self.inbox.show(event.event(), false) {
                self.send(&event);
            }
        }
        self.pass = Some(pass);
    }

    fn take(&mut self) {
        if let Some(event) = self.inbox.next() {
            self.send(&event);
        }
    }

    fn send(&mut self, event: &Rendered) {
        self.sent.push((event.event().conversation.clone(), event.event().seq));
    }

    fn mark_lost(&mut self) {
        // The feed restarts at the end of the log.
        self.dispatched = self.log.len();
        self.inbox.mark_lost();
    }

    fn settle(&mut self) {
        while self.dispatched < self.log.len() {
            self.dispatch();
        }
        let mut turns = 0;
        while !(self.inbox.is_live() && self.inbox.queue.is_empty()) {
            self.begin();
            self.read();
            self.take();
            turns += 1;
            assert!(turns < 100_000, "it never comes to rest");
        }
    }

    /// Each conversation is without gaps or duplicates and in order, from the cursor to the end.
    fn check(&self) {
        for with in ["anna", "ben", "carla"] {
            let conversation = ConversationId::dm(&name(ME), &name(with));
            let of = |events: &[Arc<Rendered>]| {
                events.iter().filter(|e| e.event().conversation == conversation).count() as u64
            };
            let (first, last) = (of(&self.log[..self.cursor]) + 1, of(&self.log));
            let sent: Vec<u64> =
                self.sent.iter().filter(|(c, _)| *c == conversation).map(|(_, seq)| *seq).collect();
            assert_eq!(sent, (first..=last).collect::<Vec<_>>(), "{with}");
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Commit(usize),
    Dispatch,
    Begin,
    Read,
    Take,
    Lose,
    Check,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0usize..3).prop_map(Step::Commit),
        6 => Just(Step::Dispatch),
        2 => Just(Step::Begin),
        4 => Just(Step::Read),
        4 => Just(Step::Take),
        1 => Just(Step::Lose),
        1 => Just(Step::Check),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn replay_and_live_are_one_stream(
        before in 0usize..20,
        events in 8usize..64,
        steps in prop::collection::vec(step(), 0..300),
    ) {
        let mut world = World::new(before, QueueLimits::new(events, usize::MAX));
        for step in steps {
            match step {
                Step::Commit(with) => world.commit(with),
                Step::Dispatch => world.dispatch(),
                Step::Begin => world.begin(),
                Step::Read => world.read(),
                Step::Take => world.take(),
                Step::Lose => world.mark_lost(),
                Step::Check => {
                    // What was sent is confirmed, or known to the session: both prevent that it is shown again.
                    for (conversation, seq) in world.sent.clone() {
                        world.inbox.note_sent(&conversation, seq, false);
                    }
                    world.inbox.check();
                }
            }
            assert!(world.inbox.queue.len() <= events);
            let cost: usize = world.inbox.queue.iter().map(|queued| queued.event.cost()).sum();
            assert_eq!(world.inbox.memory.cost(), cost);
        }
        world.settle();
        world.check();
        assert!(world.inbox.is_live());
    }
}

fn live(events: usize) -> Inbox {
    Inbox::new(QueueLimits::new(events, usize::MAX), Backlog::default(), true)
}

fn rendered(with: &str, seq: u64, own: bool) -> Arc<Rendered> {
    Arc::new(Rendered::new(event(with, seq, own), None))
}

#[test]
fn a_session_with_nothing_to_read_is_live_at_once() {
    let mut inbox = live(8);
    assert!(inbox.offer(&rendered("anna", 5, false), false, at(1)));
    assert_eq!(inbox.next().unwrap().event().seq, 5);
    assert!(inbox.next().is_none() && inbox.begin_pass().is_none());
}

#[test]
fn overflow_drops_the_queue_and_names_where_reading_begins() {
    let mut inbox = live(2);
    inbox.offer(&rendered("anna", 5, false), false, at(1));
    inbox.offer(&rendered("ben", 9, false), false, at(2));
    assert!(inbox.offer(&rendered("anna", 6, false), false, at(3)), "the session must begin a lap");
    assert!(inbox.next().is_none());
    let backlog = inbox.begin_pass().unwrap();
    let after = |with| backlog.gaps[&ConversationId::dm(&name(ME), &name(with))];
    assert_eq!((after("anna"), after("ben")), (4, 8));
    assert_eq!(backlog.unread, None);
}

#[test]
fn a_message_of_ones_own_is_not_taken_for_shown() {
    let mut inbox = Inbox::new(
        QueueLimits::new(64, usize::MAX),
        Backlog { unread: Some(Style::Live), ..Backlog::default() },
        true,
    );
    inbox.begin_pass().unwrap();
    inbox.offer(&rendered("anna", 4, true), true, at(1));
    assert!(inbox.show(&event("anna", 5, false), false));
    assert!(inbox.finish_pass(at(2), false));
    assert_eq!(inbox.next().unwrap().event().seq, 4);
    inbox.offer(&rendered("anna", 5, false), false, at(2));
    assert!(inbox.next().is_none(), "it was shown");
    inbox.offer(&rendered("anna", 6, false), false, at(3));
    assert_eq!(inbox.next().unwrap().event().seq, 6);
    assert!(
        inbox.overlap.is_none() && inbox.shown.get(&event("anna", 5, false).conversation, false).is_none()
    );
}

#[test]
fn a_backlog_of_very_many_conversations_becomes_everything_unread() {
    let mut backlog = Backlog::default();
    for n in 0..=BACKLOG {
        backlog.add(&event(&format!("u{n}"), 3, false));
    }
    assert_eq!(backlog.gaps.len(), BACKLOG);
    assert!(backlog.lost && backlog.unread == Some(Style::Live));
}

#[test]
fn what_a_lagging_feed_brings_of_an_earlier_session_is_shown_in_no_dialect_of_lines() {
    for (has_ids, again) in [(false, None), (true, Some(5))] {
        let unread = Backlog { unread: Some(Style::Stored), ..Backlog::default() };
        let mut inbox = Inbox::new(QueueLimits::new(64, usize::MAX), unread, has_ids);
        inbox.begin_pass().unwrap();
        inbox.offer(&rendered("anna", 5, false), false, at(1));
        // The store has two events, and the cursor is after both.
        inbox.reads_unread_from(at(2));
        assert!(inbox.finish_pass(at(2), false));
        assert_eq!(inbox.next().map(|event| event.event().seq), again);
        inbox.offer(&rendered("anna", 6, false), false, at(2));
        assert_eq!(inbox.next().is_some(), again.is_some());
        inbox.offer(&rendered("anna", 7, false), false, at(3));
        assert_eq!(inbox.next().unwrap().event().seq, 7);
    }
}

#[test]
fn an_overflow_before_the_floor_is_known_is_left_to_the_cursor() {
    let unread = Backlog { unread: Some(Style::Stored), ..Backlog::default() };
    let mut inbox = Inbox::new(QueueLimits::new(8, usize::MAX), unread, false);
    inbox.begin_pass().unwrap();
    inbox.offer(&rendered("anna", 5, false), false, at(1));
    inbox.offer(&rendered("anna", 6, false), false, at(2));
    inbox.reads_unread_from(at(2));
    assert!(!inbox.finish_pass(at(2), false));
    let backlog = inbox.begin_pass().unwrap();
    assert_eq!((backlog.unread, backlog.gaps.len()), (Some(Style::Live), 0));
}

#[test]
fn stored_messages_are_distinguished_from_live_ones_by_seq_and_not_by_time() {
    let backlog = Backlog {
        unread: Some(Style::SinceLogin(LoginTime::at(Timestamp::from_micros(0)))),
        ..Backlog::default()
    };
    let mut inbox = Inbox::new(QueueLimits::new(100, 1 << 20), backlog, false);
    let events: Vec<Event> = (1..=5).map(|seq| event("anna", seq, false)).collect();
    let offer = |inbox: &mut Inbox, n: usize| {
        inbox.offer(&Arc::new(Rendered::new(events[n].clone(), None)), false, at(n as u64 + 1));
    };
    assert!(inbox.begin_pass().is_some());
    // The feed lags: it brings what was stored before the login, and one more event before the position is known.
    (0..2).for_each(|n| offer(&mut inbox, n));
    offer(&mut inbox, 3);
    inbox.reads_unread_from(at(3));
    offer(&mut inbox, 4);
    let came: Vec<bool> = events.iter().map(|event| inbox.arrived_since(event)).collect();
    assert_eq!(came, [false, false, false, true, true]);
    assert!(!inbox.arrived_since(&event("ben", 9, false)), "another conversation");
    assert!(inbox.finish_pass(at(5), true));
    assert!(!inbox.arrived_since(&events[4]), "a later lap has nothing that was kept before a login");
}

#[test]
fn all_queues_together_have_a_bound() {
    let bounds = QueueLimits::new(1000, 1 << 20);
    let live = || Inbox::new(bounds.clone(), Backlog::default(), true);
    let long = |seq| {
        let body = protocol::Body::parse(&"x".repeat(16_000)).unwrap();
        Arc::new(Rendered::new(Event { body, ..event("anna", seq, false) }, None))
    };
    let mut inboxes: Vec<Inbox> = (0..200).map(|_| live()).collect();
    for seq in 1..=60 {
        for inbox in &mut inboxes {
            inbox.offer(&long(seq), false, at(seq));
        }
    }
    let held: usize = inboxes.iter().map(|inbox| inbox.memory.cost()).sum();
    assert!(held <= (64 << 20) + 200 * (32 << 10), "{held} bytes wait");
    // A queue that was dropped for the total bound is read from the store.
    let dropped = inboxes.iter_mut().find(|inbox| !inbox.is_live()).unwrap();
    assert_eq!(dropped.begin_pass().unwrap().gaps.values().copied().collect::<Vec<_>>(), [0]);
}
