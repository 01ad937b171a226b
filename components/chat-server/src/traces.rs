//! Records the path of recent messages: accepted, stored, on the feed, written, seen, each with time and place.
//!
//! The life of a trace: [`Traces::accepted`] begins it if a client asked for one, or within this second's sample, so that tracing does not
//! slow down a busy server; [`Traces::on_feed`] does the same for messages that were not accepted here. Every later step looks the message
//! up: by its sender's id until its `seq` is known, then by that.
//!
//! Nothing here is durable, and no step waits.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::api::Appended;
use protocol::native::{Trace, TraceStage, TraceStep};
use protocol::{ClientId, ConversationId, Draft, Event, Timestamp, UserName};
use tokio::time::{Duration, Instant};

/// Messages with a trace; a few MiB at most.
const MESSAGES: usize = 4096;
/// Steps per message. A message to a user with many sessions has many.
const STEPS: usize = 32;
/// Messages per second that are traced without a request.
const PER_SECOND: u32 = 50;
const SECOND: Duration = Duration::from_secs(1);

/// The traces.
///
/// Bound: [`MESSAGES`] messages of [`STEPS`] steps. Overflow rule: the oldest message is dropped; further steps are not recorded.
#[derive(Debug, Default)]
pub(crate) struct Traces(Mutex<Recorded>);

#[derive(Debug, Default)]
struct Recorded {
    traces: HashMap<u64, Traced>,
    /// In order of their beginning.
    order: VecDeque<u64>,
    by_sender: HashMap<(UserName, ClientId), u64>,
    /// By `seq`, those that were not seen yet.
    by_place: HashMap<ConversationId, BTreeMap<u64, u64>>,
    next: u64,
    begun: Option<(Instant, u32)>,
}

#[derive(Debug)]
struct Traced {
    sender: UserName,
    client_id: ClientId,
    conversation: ConversationId,
    id: Option<uuid::Uuid>,
    seq: Option<u64>,
    steps: Vec<Step>,
}

/// Where a step happened: in a part of the system, or in a user's session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Location {
    /// For everybody who may see the trace.
    pub(crate) short: String,
    /// With the session's address and device, which only that user and the operator may see.
    pub(crate) full: Option<(UserName, String)>,
}

impl From<&str> for Location {
    fn from(part: &str) -> Self {
        Self { short: part.to_owned(), full: None }
    }
}

impl Location {
    /// For this user, or for the operator if `None`.
    fn shown(&self, to: Option<&UserName>) -> String {
        match &self.full {
            Some((user, full)) if to.is_none_or(|to| to == user) => full.clone(),
            Some(_) | None => self.short.clone(),
        }
    }
}

#[derive(Debug)]
struct Step {
    stage: TraceStage,
    at: Timestamp,
    place: Location,
}

impl Step {
    fn shown(&self, to: Option<&UserName>) -> TraceStep {
        TraceStep { stage: self.stage, at: self.at, place: self.place.shown(to) }
    }
}

impl Traces {
    fn recorded(&self) -> MutexGuard<'_, Recorded> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session accepted a message.
    pub(crate) fn accepted(&self, draft: &Draft, wanted: bool, place: impl FnOnce() -> Location) {
        let mut recorded = self.recorded();
        if wanted || recorded.may_sample() {
            let conversation = draft.conversation.clone();
            let at = recorded.begin(&draft.sender, &draft.client_id, conversation);
            recorded.step(at, TraceStage::Accepted, Timestamp::now(), place());
        }
    }

    /// The store acknowledged it.
    pub(crate) fn stored(&self, sender: &UserName, client_id: &ClientId, as_what: &Appended) {
        let mut recorded = self.recorded();
        let Some(at) = recorded.find(sender, client_id) else { return };
        recorded.place(at, as_what.id, as_what.seq);
        recorded.step(at, TraceStage::Stored, as_what.at, "message-api".into());
    }

    /// The feed brought it.
    pub(crate) fn on_feed(&self, event: &Event) {
        let mut recorded = self.recorded();
        let at = match recorded.find(&event.sender, &event.client_id) {
            Some(at) => at,
            None if recorded.may_sample() => {
                let at = recorded.begin(&event.sender, &event.client_id, event.conversation.clone());
                recorded.step(at, TraceStage::Stored, event.at, "message-api".into());
                at
            }
            None => return,
        };
        recorded.place(at, event.id, event.seq);
        recorded.step(at, TraceStage::Feed, Timestamp::now(), "chat-server".into());
    }

    /// It was queued for a session's socket.
    pub(crate) fn written(&self, conversation: &ConversationId, seq: u64, place: impl FnOnce() -> Location) {
        let mut recorded = self.recorded();
        if let Some(at) = recorded.by_place.get(conversation).and_then(|places| places.get(&seq)).copied() {
            recorded.step(at, TraceStage::Written, Timestamp::now(), place());
        }
    }

    /// A user has read a conversation up to here, including all earlier messages.
    pub(crate) fn seen(
        &self,
        user: &UserName,
        conversation: &ConversationId,
        up_to: u64,
        place: impl FnOnce() -> Location,
    ) {
        let mut recorded = self.recorded();
        let Some(places) = recorded.by_place.get(conversation) else { return };
        let its = places.range(..=up_to).filter(|(_, at)| recorded.is_for(**at, user));
        let seen: Vec<(u64, u64)> = its.map(|(seq, at)| (*seq, *at)).collect();
        if seen.is_empty() {
            return;
        }
        let place = place();
        for (seq, at) in seen {
            recorded.step(at, TraceStage::Seen, Timestamp::now(), place.clone());
            recorded.leave(conversation, seq);
        }
    }

    /// The trace of a message, by its id or by its sender's id. With a name, only of that user's messages and without the addresses of
    /// others.
    pub(crate) fn find(&self, message: &str, of: Option<&UserName>) -> Option<Trace> {
        let recorded = self.recorded();
        let newest_first = recorded.order.iter().rev().filter_map(|at| recorded.traces.get(at));
        let mut its = newest_first.filter(|trace| of.is_none_or(|user| trace.conversation.is_dm_of(user)));
        let found = its.find(|trace| {
            trace.client_id.as_str() == message || trace.id.is_some_and(|id| id.to_string() == message)
        })?;
        Some(Trace {
            client_id: found.client_id.clone(),
            conversation: found.conversation.clone(),
            id: found.id,
            seq: found.seq,
            steps: found.steps.iter().map(|step| step.shown(of)).collect(),
        })
    }
}

impl Recorded {
    fn may_sample(&mut self) -> bool {
        let now = Instant::now();
        let (since, count) = self.begun.filter(|(since, _)| now < *since + SECOND).unwrap_or((now, 0));
        self.begun = Some((since, count + u32::from(count < PER_SECOND)));
        count < PER_SECOND
    }

    fn begin(&mut self, sender: &UserName, client_id: &ClientId, conversation: ConversationId) -> u64 {
        if let Some(at) = self.find(sender, client_id) {
            return at;
        }
        if self.order.len() >= MESSAGES
            && let Some(oldest) = self.order.pop_front()
        {
            self.forget(oldest);
        }
        let at = self.next;
        self.next += 1;
        self.order.push_back(at);
        self.by_sender.insert((sender.clone(), client_id.clone()), at);
        let (sender, client_id) = (sender.clone(), client_id.clone());
        let trace = Traced { sender, client_id, conversation, id: None, seq: None, steps: Vec::new() };
        self.traces.insert(at, trace);
        at
    }

    fn forget(&mut self, at: u64) {
        let Some(trace) = self.traces.remove(&at) else { return };
        self.by_sender.remove(&(trace.sender, trace.client_id));
        if let Some(seq) = trace.seq {
            self.leave(&trace.conversation, seq);
        }
    }

    /// The trace is complete or dropped.
    fn leave(&mut self, conversation: &ConversationId, seq: u64) {
        if let Some(places) = self.by_place.get_mut(conversation) {
            places.remove(&seq);
            if places.is_empty() {
                self.by_place.remove(conversation);
            }
        }
    }

    fn find(&self, sender: &UserName, client_id: &ClientId) -> Option<u64> {
        if self.by_sender.is_empty() {
            return None;
        }
        self.by_sender.get(&(sender.clone(), client_id.clone())).copied()
    }

    /// The `seq` of a message became known.
    fn place(&mut self, at: u64, id: uuid::Uuid, seq: u64) {
        let Some(trace) = self.traces.get_mut(&at) else { return };
        if trace.seq.replace(seq).is_none() {
            trace.id = Some(id);
            self.by_place.entry(trace.conversation.clone()).or_default().insert(seq, at);
        }
    }

    /// The store reports a message twice: with its answer and on its feed.
    fn step(&mut self, at: u64, stage: TraceStage, when: Timestamp, place: Location) {
        let Some(trace) = self.traces.get_mut(&at) else { return };
        let known = stage == TraceStage::Stored && trace.steps.iter().any(|step| step.stage == stage);
        if trace.steps.len() < STEPS && !known {
            trace.steps.push(Step { stage, at: when, place });
            // The feed may be faster than the store's answer.
            trace.steps.sort_by_key(|step| step.at);
        }
    }

    /// Whether this user is the recipient.
    fn is_for(&self, at: u64, user: &UserName) -> bool {
        let to = |trace: &Traced| trace.conversation.dm_partner(&trace.sender) == Some(user.key());
        self.traces.get(&at).is_some_and(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::name;
    use protocol::Body;

    fn at(who: &str) -> Location {
        Location { short: who.to_owned(), full: Some((name(who), format!("{who} from here"))) }
    }

    fn draft(n: u64) -> Draft {
        let client_id = ClientId::parse(&format!("c{n}")).unwrap();
        Draft { client_id, ..Draft::chat(name("alice"), &name("bob"), Body::parse("x").unwrap()) }
    }

    fn stored(traces: &Traces, draft: &Draft, seq: u64) {
        let (id, at) = (uuid::Uuid::from_u128(seq.into()), Timestamp::now());
        let appended = Appended { conversation: draft.conversation.clone(), seq, id, at, duplicate: false };
        traces.stored(&draft.sender, &draft.client_id, &appended);
    }

    fn stages(trace: &Trace) -> Vec<TraceStage> {
        trace.steps.iter().map(|step| step.stage).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_is_followed_to_the_one_who_sees_it() {
        let traces = Traces::default();
        let (one, two) = (draft(1), draft(2));
        for (draft, seq) in [(&one, 1), (&two, 2)] {
            traces.accepted(draft, false, || at("alice"));
            stored(&traces, draft, seq);
        }
        traces.written(&one.conversation, 1, || at("bob"));
        traces.seen(&name("alice"), &one.conversation, 2, || unreachable!("it is her own"));
        traces.seen(&name("bob"), &one.conversation, 1, || at("bob"));
        traces.seen(&name("bob"), &one.conversation, 1, || unreachable!("it is known"));
        let trace = traces.find("c1", Some(&name("bob"))).unwrap();
        use TraceStage::{Accepted, Seen, Stored, Written};
        assert_eq!(stages(&trace), [Accepted, Stored, Written, Seen]);
        let by_id = trace.id.unwrap().to_string();
        assert_eq!(traces.find(&by_id, Some(&name("bob"))).unwrap(), trace);
        assert_eq!(stages(&traces.find("c2", None).unwrap()), [Accepted, Stored]);
        assert_eq!(traces.find("c1", Some(&name("carol"))), None, "it is none of hers");
        let places = |of: Option<&str>| {
            let trace = traces.find("c1", of.map(name).as_ref()).unwrap();
            trace.steps.into_iter().map(|step| step.place).collect::<Vec<_>>()
        };
        assert_eq!(places(None), ["alice from here", "message-api", "bob from here", "bob from here"]);
        assert_eq!(places(Some("alice")), ["alice from here", "message-api", "bob", "bob"]);
        assert_eq!(places(Some("bob")), ["alice", "message-api", "bob from here", "bob from here"]);
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded_and_a_busy_second_is_not_traced_whole() {
        let traces = Traces::default();
        for n in 0..10_000 {
            traces.accepted(&draft(n), true, || at("alice"));
            stored(&traces, &draft(n), n + 1);
        }
        {
            let recorded = traces.recorded();
            assert_eq!(
                (recorded.traces.len(), recorded.order.len(), recorded.by_sender.len()),
                (MESSAGES, MESSAGES, MESSAGES)
            );
            assert_eq!(recorded.by_place.values().map(BTreeMap::len).sum::<usize>(), MESSAGES);
        }
        let traces = Traces::default();
        (0..1000).for_each(|n| traces.accepted(&draft(n), false, || at("alice")));
        assert_eq!(traces.recorded().order.len(), PER_SECOND as usize);
        tokio::time::advance(SECOND).await;
        traces.accepted(&draft(2000), false, || at("alice"));
        assert!(traces.find("c2000", None).is_some());
    }
}
