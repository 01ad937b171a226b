//! A message API in memory. It keeps what it committed; it delays, loses requests and answers, and crashes between any two steps, at
//! random. It guarantees what the real one does: a page of unread events has the feed position at which all of it had been published, and a
//! restarted API has a new feed. To a reader of the feed it marks the reader's own batches, in several pieces at times; or it marks nothing,
//! as on MongoDB.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use protocol::account::Access;
use protocol::api::{
    AppendRequest, AppendResponse, Appended, Call, Conversations, CursorMove, EventPage, FeedFrame,
    FeedPosition, NameAsked, Names, OwnBatch, RegisterUser, Standing, UnseenPage, User, Users,
};
use protocol::native::{ConversationSummary, Durability};
use protocol::{ClientId, ConversationId, Draft, Event, Timestamp, UserName};
use tokio::sync::watch;
use transport::api::Range;
use transport::{ApiError, FeedError};
use uuid::Uuid;

use super::dice::Dice;

/// A handle to the API. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct SimulatedApi {
    dice: Arc<Dice>,
    state: Arc<Mutex<State>>,
    changed: Arc<watch::Sender<u64>>,
}

#[derive(Debug)]
pub(crate) struct State {
    /// Whether faults are injected.
    pub(crate) faults: bool,
    up: bool,
    run: u64,
    epoch: Uuid,
    /// The index in `order` at which this run's feed begins, and the feed's length.
    base: usize,
    published: usize,
    /// Events in order of commit.
    pub(super) order: Vec<Event>,
    /// The batch and draft of each.
    own: Vec<Option<(OwnBatch, usize)>>,
    /// Whether own batches are marked on the feed.
    marks: bool,
    heads: HashMap<ConversationId, u64>,
    results: HashMap<(UserName, ClientId), Appended>,
    pub(crate) cursors: BTreeMap<(UserName, ConversationId), u64>,
    /// The number of cursor moves in each request.
    pub(crate) move_requests: Vec<usize>,
    /// A request that moves one of these is rejected as a whole.
    pub(crate) refused_moves: BTreeSet<(UserName, ConversationId)>,
    /// Whether reads of events are rejected.
    pub(crate) refuses_reads: bool,
    /// Registered users in order.
    pub(crate) users: Vec<UserName>,
    /// The `after` of each request for users.
    pub(crate) user_pages: Vec<u64>,
}

/// An open feed.
pub(crate) struct SimulatedFeed {
    api: SimulatedApi,
    changed: watch::Receiver<u64>,
    run: u64,
    at: FeedPosition,
    /// The reader, if its batches are marked.
    own: Option<Uuid>,
    start: Option<FeedFrame>,
}

/// The first `limit` events, and whether there are more.
fn first_of<'e>(mut events: impl Iterator<Item = &'e Event>, limit: usize) -> (Vec<Event>, bool) {
    let page = events.by_ref().take(limit).cloned().collect();
    (page, events.next().is_some())
}

fn away() -> ApiError {
    ApiError::Unavailable("as the dice fell".to_owned())
}

fn refuse() -> ApiError {
    ApiError::Refused("as the test wants it".to_owned())
}

impl SimulatedApi {
    pub(crate) fn new(dice: Arc<Dice>) -> Self {
        let state = State {
            faults: true,
            up: true,
            run: 0,
            epoch: Uuid::from_u128(dice.next().into()),
            base: 0,
            published: 0,
            order: Vec::new(),
            own: Vec::new(),
            marks: !dice.one_in(4),
            heads: HashMap::new(),
            results: HashMap::new(),
            cursors: BTreeMap::new(),
            move_requests: Vec::new(),
            refused_moves: BTreeSet::new(),
            refuses_reads: false,
            users: Vec::new(),
            user_pages: Vec::new(),
        };
        Self { dice, state: Arc::new(Mutex::new(state)), changed: Arc::new(watch::Sender::new(0)) }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Crashes the API between any two steps.
    pub(super) fn die(&self) {
        let mut state = self.state();
        state.up = false;
        state.run += 1;
        state.epoch = Uuid::from_u128(self.dice.next().into());
        state.base = state.order.len();
        state.published = state.base;
        drop(state);
        self.changed.send_modify(|changes| *changes += 1);
    }

    pub(super) fn come_back(&self) {
        self.state().up = true;
    }

    fn peer_vanished(&self, state: &State) -> bool {
        !state.up || state.faults && self.dice.one_in(25)
    }

    /// One step, which faults may hit before and after it.
    async fn step<T>(
        &self,
        run: Option<u64>,
        act: impl FnOnce(&mut State) -> T,
    ) -> Result<(T, u64), ApiError> {
        self.dice.delay().await;
        let mut state = self.state();
        if self.peer_vanished(&state) || run.is_some_and(|run| run != state.run) {
            return Err(away());
        }
        let before = state.published;
        let value = act(&mut state);
        let (run, is_news) = (state.run, state.published != before);
        drop(state);
        if is_news {
            self.changed.send_modify(|changes| *changes += 1);
        }
        Ok((value, run))
    }

    async fn ask<T>(&self, act: impl FnOnce(&mut State) -> T) -> Result<T, ApiError> {
        let (value, run) = self.step(None, act).await?;
        self.step(Some(run), |_| ()).await?;
        Ok(value)
    }

    pub(crate) async fn append(&self, drafts: Vec<Draft>) -> Result<AppendResponse, ApiError> {
        self.append_batch(AppendRequest { drafts, own: None }).await
    }

    pub(crate) async fn append_batch(&self, batch: AppendRequest) -> Result<AppendResponse, ApiError> {
        let AppendRequest { drafts, own } = batch;
        let append = |state: &mut State| {
            let place = |draft| own.map(|own| (own, draft));
            drafts.into_iter().enumerate().map(|(n, draft)| state.append(draft, place(n))).collect()
        };
        let (results, run) = self.step(None, append).await?;
        self.step(Some(run), State::publish).await?;
        self.step(Some(run), |_| ()).await?;
        Ok(AppendResponse { results, durability: Durability::Fsync })
    }

    pub(crate) async fn unseen(
        &self,
        user: &UserName,
        after: Option<&str>,
        limit: usize,
    ) -> Result<UnseenPage, ApiError> {
        if self.state().refuses_reads {
            return Err(refuse());
        }
        // A store that does not know what was stored since the previous page starts again. Not once faults are over: a pass of one event
        // a page might then hardly ever come to its end.
        let faults = self.state().faults;
        let after =
            after.filter(|_| !faults || !self.dice.one_in(8)).map_or(0, |after| after.parse().unwrap());
        let ((began, events, end, more), run) =
            self.step(None, |state| state.unseen(user, after, limit)).await?;
        // More events may be stored while it is read.
        let ((position, news), run) = self
            .step(Some(run), |state| (state.position(), state.has_other_for(user, began, &events)))
            .await?;
        self.step(Some(run), |_| ()).await?;
        let next = (more || news).then(|| end.to_string());
        Ok(UnseenPage { events, next, began, position })
    }

    pub(crate) async fn events(
        &self,
        conversation: &ConversationId,
        range: Range,
        limit: usize,
    ) -> Result<EventPage, ApiError> {
        if self.state().refuses_reads {
            return Err(refuse());
        }
        self.ask(|state| {
            let its = state.order.iter().filter(|it| it.conversation == *conversation);
            let (events, more) = match range {
                Range::After(seq) => first_of(its.filter(|it| it.seq > seq), limit),
                Range::Before(seq) => {
                    let newest = its.rev().filter(|it| seq.is_none_or(|seq| it.seq < seq));
                    let (mut events, more) = first_of(newest, limit);
                    events.reverse();
                    (events, more)
                }
            };
            state.publish();
            EventPage { events, more }
        })
        .await
    }

    pub(crate) async fn conversations(&self, user: &UserName) -> Result<Conversations, ApiError> {
        self.ask(|state| {
            let its = state.heads.iter().filter(|(conversation, _)| conversation.is_dm_of(user));
            let summary = |(conversation, head): (&ConversationId, &u64)| ConversationSummary {
                conversation: conversation.clone(),
                with: UserName::parse(conversation.dm_partner(user).unwrap()).unwrap(),
                head: *head,
                seen: 0,
                unseen: 0,
                last: None,
            };
            Conversations { conversations: its.map(summary).collect() }
        })
        .await
    }

    pub(crate) async fn move_cursors(&self, moves: Vec<CursorMove>) -> Result<(), ApiError> {
        self.ask(|state| {
            state.move_requests.push(moves.len());
            let cursor = |to: &CursorMove| (to.user.clone(), to.conversation.clone());
            if moves.iter().any(|to| state.refused_moves.contains(&cursor(to))) {
                return Err(refuse());
            }
            for to in moves {
                let end = state.heads.get(&to.conversation).copied().unwrap_or(0);
                let cursor = state.cursors.entry((to.user, to.conversation)).or_default();
                *cursor = to.seq.min(end).max(*cursor);
            }
            Ok(())
        })
        .await?
    }

    pub(crate) async fn users(&self, after: u64) -> Result<Users, ApiError> {
        self.ask(|state| state.page_of_users(after)).await
    }

    /// Only the calls that the simulation needs.
    pub(crate) async fn call<C: Call>(&self, call: &C) -> Result<C::Answer, ApiError> {
        let asked = serde_json::to_value(call).unwrap();
        let standing =
            Standing { registered: true, looks_like: None, access: Access::Open, now: self.state().now() };
        let answer = match C::PATH {
            RegisterUser::PATH => serde_json::json!({}),
            Names::PATH => asked,
            NameAsked::PATH => serde_json::to_value(standing).unwrap(),
            other => panic!("the simulation has no answer to {other}"),
        };
        self.ask(|_| serde_json::from_value(answer).unwrap()).await
    }

    pub(crate) async fn feed(
        &self,
        from: Option<FeedPosition>,
        own: Uuid,
    ) -> Result<SimulatedFeed, FeedError> {
        let changed = self.changed.subscribe();
        let opened = self.step(None, |state| {
            let end = state.position();
            let resumed = from.filter(|from| from.epoch == end.epoch && from.index <= end.index);
            (resumed.unwrap_or(end), resumed.is_some(), state.marks.then_some(own))
        });
        let ((at, resumed, own), run) = opened.await.map_err(FeedError::Open)?;
        let start = Some(FeedFrame::Start {
            epoch: at.epoch,
            index: at.index,
            resumed,
            log: None,
            own: own.is_some(),
        });
        Ok(SimulatedFeed { api: self.clone(), changed, run, at, own, start })
    }
}

impl State {
    /// A page of a thousand users.
    fn page_of_users(&mut self, after: u64) -> Users {
        const PAGE: usize = 1000;
        self.user_pages.push(after);
        let (at, known) = (Timestamp::from_micros(0), &self.users);
        let behind = known.iter().skip(usize::try_from(after).unwrap());
        let user =
            |name: &UserName| User { name: name.clone(), address: None, first_seen: at, last_seen: at };
        let users: Vec<User> = behind.take(PAGE).map(user).collect();
        let last = after + users.len() as u64;
        Users { users, last, more: last < known.len() as u64 }
    }

    fn append(&mut self, draft: Draft, own: Option<(OwnBatch, usize)>) -> Appended {
        let key = (draft.sender.clone(), draft.client_id.clone());
        if let Some(first) = self.results.get(&key) {
            return Appended { duplicate: true, ..first.clone() };
        }
        let conversation = draft.conversation.clone();
        let at = self.now();
        let head = self.heads.entry(conversation.clone()).or_default();
        *head += 1;
        let event = draft.into_event(Uuid::from_u128(self.order.len() as u128), *head, at);
        let (conversation, seq, id) = (event.conversation.clone(), event.seq, event.id);
        let appended = Appended { conversation, seq, id, at, duplicate: false };
        self.order.push(event);
        self.own.push(own);
        self.results.insert(key, appended.clone());
        appended
    }

    /// The API's clock, which differs from ours: one microsecond per event.
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(i64::try_from(self.order.len()).unwrap())
    }

    fn publish(&mut self) {
        self.published = self.order.len();
    }

    fn position(&self) -> FeedPosition {
        FeedPosition { epoch: self.epoch, index: (self.published - self.base) as u64 }
    }

    /// The feed position, the unread events, their end, and whether there are more.
    fn unseen(
        &mut self,
        user: &UserName,
        after: usize,
        limit: usize,
    ) -> (FeedPosition, Vec<Event>, usize, bool) {
        let began = self.position();
        let is_unseen = |event: &Event| {
            let cursor = (user.clone(), event.conversation.clone());
            event.dm_receiver() == Some(user.key())
                && event.seq > self.cursors.get(&cursor).copied().unwrap_or(0)
        };
        let unseen = self.order.iter().enumerate().skip(after).filter(|(_, event)| is_unseen(event));
        let mut found: Vec<(usize, Event)> =
            unseen.map(|(at, event)| (at + 1, event.clone())).take(limit + 1).collect();
        let more = found.len() > limit;
        found.truncate(limit);
        let end = found.last().map_or(after, |(end, _)| *end);
        // The store returns nothing before the feed does.
        self.publish();
        (began, found.into_iter().map(|(_, event)| event).collect(), end, more)
    }

    fn has_other_for(&self, user: &UserName, from: FeedPosition, known: &[Event]) -> bool {
        let since = self.base + usize::try_from(from.index).unwrap();
        from.epoch != self.epoch
            || self.order[since..self.published].iter().any(|event| {
                event.dm_receiver() == Some(user.key()) && !known.iter().any(|it| it.id == event.id)
            })
    }
}

impl SimulatedFeed {
    pub(crate) async fn next(&mut self) -> Result<FeedFrame, FeedError> {
        if let Some(start) = self.start.take() {
            return Ok(start);
        }
        loop {
            self.changed.borrow_and_update();
            if let Some(frame) = self.take()? {
                self.api.dice.delay().await;
                // It lags at times, so that a returning user is ahead of it.
                if self.api.dice.one_in(20) {
                    self.api.dice.pause(3000).await;
                }
                return Ok(frame);
            }
            // Cannot fail: `self` owns the sender.
            let _ = self.changed.changed().await;
        }
    }

    fn take(&mut self) -> Result<Option<FeedFrame>, FeedError> {
        let state = self.api.state();
        if state.run != self.run || self.api.peer_vanished(&state) && self.api.dice.one_in(4) {
            return Err(FeedError::Closed);
        }
        let next = state.base + usize::try_from(self.at.index).unwrap();
        if next >= state.published {
            return Ok(None);
        }
        let mine = |at: usize| state.own[at].filter(|(batch, _)| Some(batch.reader) == self.own);
        let Some((batch, first)) = mine(next) else {
            self.at.index += 1;
            let event = Box::new(state.order[next].clone());
            return Ok(Some(FeedFrame::Event { index: self.at.index, event }));
        };
        let mut count = 1;
        while next + count < state.published
            && mine(next + count) == Some((batch, first + count))
            && !self.api.dice.one_in(4)
        {
            count += 1;
        }
        self.at.index += count as u64;
        Ok(Some(FeedFrame::Own { index: self.at.index, batch: batch.number, first, count }))
    }
}
