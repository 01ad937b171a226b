//! Unread messages of a user in pages, in commit order.
//!
//! To find that order, every conversation with unread messages must be examined. That is done once for many pages: a [`Plan`] has the
//! positions of the next unread events, and pages follow it. So the cost of all pages is proportional to the number of unread messages,
//! however many senders there are. While a long plan is made, other reads run in between.
//!
//! A stale plan is harmless: it only tells where to look. Whether an event is for the user and still unread is checked when its page is
//! read.

use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::{ConversationId, Event, UserName};
use rusqlite::{Connection, OptionalExtension, params};

use super::query::{event_query, user_id};
use super::{ledger, row};
use crate::store::Unseen;

/// The minimum number of positions in a plan: a shorter plan costs hardly less.
const MIN_POSITIONS: usize = 256;
/// The maximum number of positions in a plan; half a MiB.
const MAX_POSITIONS: usize = 64 * 1024;
/// Positions in all cached plans; 8 MiB. Overflow rule: the oldest plan is dropped, and made again on demand.
const CACHED: usize = 1024 * 1024;
/// Conversations examined before other reads get their turn.
const SLICE: usize = 4096;
/// Positions examined for one page. Events read since the plan was made are skipped.
const MAX_EXAMINED: usize = 4096;
/// Up to this many of the last events of all users are scanned for those of the user.
const RECENT: i64 = 2048;

/// The positions of a user's unread events, in order.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// The plan has everything unread after this position
    after: i64,
    /// up to this one.
    until: i64,
    positions: Vec<i64>,
}

/// A plan being made. Call [`Draft::advance`] until it [`is_done`](Draft::is_done), each in a read of its own: events committed meanwhile
/// are after its end.
#[derive(Debug)]
pub(super) struct Draft {
    user: Option<i64>,
    /// The conversation of the user's notes to self, in which their own messages count as unread.
    notes: Option<i64>,
    after: i64,
    until: i64,
    /// Conversations with unread messages, and their cursors.
    unread: VecDeque<(i64, u64)>,
    /// The first `most` positions, the last of them on top.
    first: BinaryHeap<i64>,
    most: usize,
    truncated: bool,
    /// The number of rows examined.
    pub(super) checks: usize,
}

impl Draft {
    /// Finds the conversations with unread messages.
    pub(super) fn begin(connection: &Connection, user: &UserName, after: i64) -> rusqlite::Result<Self> {
        let until = ledger::last_pos(connection)?.max(after);
        let mut draft = Self {
            user: user_id(connection, user)?,
            notes: notes_of(connection, user)?,
            after,
            until,
            unread: VecDeque::new(),
            first: BinaryHeap::new(),
            most: 0,
            truncated: false,
            checks: 0,
        };
        if let Some(user) = draft.user {
            let mut unread = connection.prepare_cached(
                "SELECT conversation, max(cursor, read_to) FROM members INDEXED BY unread
                 WHERE user = ?1 AND unread = 1",
            )?;
            let found = unread.query_map([user], |row| Ok((row.get(0)?, row.get(1)?)))?;
            draft.unread = found.collect::<Result<_, _>>()?;
        }
        draft.checks = draft.unread.len();
        draft.most = draft.unread.len().clamp(MIN_POSITIONS, MAX_POSITIONS);
        Ok(draft)
    }

    /// The position after which it begins.
    pub(super) fn after(&self) -> i64 {
        self.after
    }

    /// Whether every conversation was examined.
    pub(super) fn is_done(&self) -> bool {
        self.unread.is_empty()
    }

    /// Whether another session of the user should wait for it instead of making its own.
    pub(super) fn is_long(&self) -> bool {
        self.unread.len() > SLICE
    }

    /// Examines the next conversations.
    pub(super) fn advance(mut self, connection: &Connection) -> rusqlite::Result<Self> {
        let mut following = connection.prepare_cached(
            "SELECT pos FROM events INDEXED BY log WHERE conversation = ?1 AND seq > ?2
                AND (sender <> ?3 OR conversation = ?4) ORDER BY seq",
        )?;
        let slice = SLICE.min(self.unread.len());
        for (conversation, read) in self.unread.drain(..slice).collect::<Vec<_>>() {
            let read = last_before(connection, conversation, read, self.after)?;
            let mut rows = following.query(params![conversation, read, self.user, self.notes])?;
            while let Some(row) = rows.next()? {
                self.checks += 1;
                let pos: i64 = row.get(0)?;
                if pos <= self.after {
                    continue;
                }
                // Later events of this conversation are even later in commit order.
                if pos > self.until || !self.add(pos) {
                    break;
                }
            }
        }
        Ok(self)
    }

    /// Adds a position; returns whether it is among the first.
    fn add(&mut self, pos: i64) -> bool {
        if self.first.len() < self.most {
            self.first.push(pos);
            return true;
        }
        self.truncated = true;
        match self.first.peek_mut() {
            Some(mut last) if pos < *last => *last = pos,
            Some(_) | None => return false,
        }
        true
    }

    pub(super) fn finish(self) -> Plan {
        let positions = self.first.into_sorted_vec();
        let until = match positions.last() {
            Some(last) if self.truncated => *last,
            Some(_) | None => self.until,
        };
        Plan { after: self.after, until, positions }
    }
}

impl Plan {
    fn covers(&self, after: i64) -> bool {
        self.after <= after && after < self.until
    }

    /// The page after `after`, and the number of rows examined.
    pub(super) fn page(
        &self,
        connection: &Connection,
        user: &UserName,
        after: i64,
        limit: usize,
    ) -> rusqlite::Result<(Unseen, usize)> {
        let (mut events, mut checks) = (Vec::new(), 0);
        let from = self.positions.partition_point(|pos| *pos <= after);
        if let Some(id) = user_id(connection, user)? {
            for pos in &self.positions[from..] {
                if events.len() == limit || checks == MAX_EXAMINED {
                    let end = self.positions[from + checks - 1];
                    return Ok((Unseen { events, end: end.to_string(), more: true }, checks));
                }
                checks += 1;
                events.extend(unread_at(connection, user, id, *pos)?);
            }
        }
        // Events committed since the plan was made are in the next page.
        let more = ledger::last_pos(connection)? > self.until;
        Ok((Unseen { events, end: self.until.to_string(), more }, checks))
    }
}

/// The page after `after` if that is near the end of the file: then only the last events need be examined.
pub(super) fn recent_page(
    connection: &Connection,
    user: &UserName,
    after: i64,
    limit: usize,
) -> rusqlite::Result<Option<Unseen>> {
    let last = ledger::last_pos(connection)?;
    if last - after > RECENT {
        return Ok(None);
    }
    let (mut events, mut end, mut more) = (Vec::new(), last.max(after), false);
    if let Some(id) = user_id(connection, user)? {
        let Some(unread) = few_unread(connection, id)? else { return Ok(None) };
        let mut following = connection.prepare_cached(
            "SELECT pos, conversation FROM events WHERE pos > ?1 AND pos <= ?2 ORDER BY pos",
        )?;
        let mut rows = following.query([after, last])?;
        while let Some(row) = rows.next()? {
            let (pos, conversation) = (row.get(0)?, row.get(1)?);
            if !unread.contains(&conversation) {
                continue;
            }
            if events.len() == limit {
                more = true;
                break;
            }
            events.extend(unread_at(connection, user, id, pos)?);
            if events.len() == limit {
                end = pos;
            }
        }
    }
    Ok(Some(Unseen { events, end: end.to_string(), more }))
}

/// The conversations with possibly unread messages; `None` if there are so many that a plan is as cheap.
fn few_unread(connection: &Connection, user: i64) -> rusqlite::Result<Option<HashSet<i64>>> {
    let mut unread = connection.prepare_cached(
        "SELECT conversation FROM members INDEXED BY unread WHERE user = ?1 AND unread = 1 LIMIT ?2",
    )?;
    let unread: HashSet<i64> =
        unread.query_map(params![user, SLICE], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(Some(unread).filter(|unread| unread.len() < SLICE))
}

/// The event at a position, if it is for the user and unread.
fn unread_at(connection: &Connection, user: &UserName, id: i64, pos: i64) -> rusqlite::Result<Option<Event>> {
    let sql = event_query(
        "JOIN members AS m ON m.user = ?2 AND m.conversation = e.conversation
         WHERE e.pos = ?1 AND e.seq > max(m.cursor, m.read_to)",
    );
    let event = connection.prepare_cached(&sql)?.query_row([pos, id], row::event).optional()?;
    Ok(event.filter(|event| event.is_incoming_for(user)))
}

/// The conversation of the user's notes to self, if any.
fn notes_of(connection: &Connection, user: &UserName) -> rusqlite::Result<Option<i64>> {
    let mut find = connection.prepare_cached("SELECT id FROM conversations WHERE key = ?1")?;
    find.query_row([ConversationId::dm(user, user).as_str()], |row| row.get(0)).optional()
}

/// The last `seq` of a log, from `from` on, that is not after `pos` in commit order. Both increase together, so it is found by exponential
/// search: Bentley and Yao, "An almost optimal algorithm for unbounded searching", 1976.
fn last_before(connection: &Connection, conversation: i64, from: u64, pos: i64) -> rusqlite::Result<u64> {
    let mut find = connection.prepare_cached(
        "SELECT seq, pos FROM events WHERE conversation = ?1 AND seq >= ?2 ORDER BY seq LIMIT 1",
    )?;
    let mut at_most = |seq: u64| -> rusqlite::Result<Option<u64>> {
        let found = find.query_row(params![conversation, seq], |row| Ok((row.get(0)?, row.get(1)?)));
        Ok(found.optional()?.filter(|(_, at): &(u64, i64)| *at <= pos).map(|(seq, _)| seq))
    };
    let (mut low, mut step) = (from, 1);
    while pos > 0
        && let Some(reached) = at_most(low + step)?
    {
        low = reached;
        step *= 2;
    }
    while step > 1 {
        step /= 2;
        if let Some(reached) = at_most(low + step)? {
            low = reached;
        }
    }
    Ok(low)
}

/// The cached plans.
///
/// Bound: [`CACHED`].
#[derive(Debug, Default)]
pub(super) struct Plans(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// How often the meaning of positions has changed.
    generation: u64,
    /// The oldest first.
    plans: VecDeque<(UserName, Arc<Plan>)>,
    positions: usize,
    /// Users whose long plan is being made; their other sessions wait for it.
    making: HashMap<UserName, Arc<tokio::sync::Mutex<()>>>,
}

impl Plans {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A plan that covers what is after a position.
    pub(super) fn get(&self, user: &UserName, after: i64) -> Option<Arc<Plan>> {
        let state = self.state();
        let mut plans = state.plans.iter();
        plans.find(|(of, plan)| of == user && plan.covers(after)).map(|(_, plan)| Arc::clone(plan))
    }

    /// The generation to pass to [`Plans::keep`]: that of the file before the plan was begun.
    pub(super) fn generation(&self) -> u64 {
        self.state().generation
    }

    /// Caches a plan if later pages need it.
    pub(super) fn keep(&self, user: &UserName, plan: &Arc<Plan>, limit: usize, generation: u64) {
        let mut state = self.state();
        if plan.positions.len() <= limit || state.generation != generation {
            return;
        }
        state.positions += plan.positions.len();
        state.plans.push_back((user.clone(), Arc::clone(plan)));
        while state.positions > CACHED
            && let Some((_, oldest)) = state.plans.pop_front()
        {
            state.positions -= oldest.positions.len();
        }
    }

    /// Locked while a long plan is made for a user.
    pub(super) fn making(&self, user: &UserName) -> Arc<tokio::sync::Mutex<()>> {
        let mut state = self.state();
        state.making.retain(|_, lock| Arc::strong_count(lock) > 1);
        Arc::clone(state.making.entry(user.clone()).or_default())
    }

    /// The meaning of positions has changed.
    pub(super) fn clear(&self) {
        let mut state = self.state();
        *state = State { generation: state.generation + 1, ..State::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;

    fn name(text: &str) -> UserName {
        UserName::parse(text).unwrap()
    }

    /// Each sender wrote one message to Bob, and the last of them some more.
    fn file(senders: i64, more: i64) -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::create(&mut connection).unwrap();
        let transaction = connection.transaction().unwrap();
        transaction.execute("INSERT INTO users(id, key, name) VALUES (1, 'bob', 'bob')", []).unwrap();
        for n in 0..senders {
            let other = format!("sender{n}");
            let event =
                "INSERT INTO events(pos, conversation, seq, ordinal, sent, sender, id, at, kind, client_id, body)
                VALUES (?1, ?2, ?3, ?3, ?3, ?4, zeroblob(16), 1, 0, ?5, ?5)";
            transaction
                .execute("INSERT INTO users(id, key, name) VALUES (?1, ?2, ?2)", params![n + 2, other])
                .unwrap();
            transaction
                .execute(
                    "INSERT INTO conversations(id, key) VALUES (?1, ?2)",
                    params![n + 1, format!("dm:bob:{other}")],
                )
                .unwrap();
            transaction
                .execute("INSERT INTO members(user, conversation, unread) VALUES (1, ?1, 1)", [n + 1])
                .unwrap();
            let count = if n + 1 == senders { 1 + more } else { 1 };
            for k in 1..=count {
                let id = format!("{n}.{k}");
                transaction.execute(event, params![n + k, n + 1, k, n + 2, id]).unwrap();
            }
        }
        transaction.commit().unwrap();
        connection
    }

    /// Reads everything as the store does; returns it with the number of rows examined.
    fn read_all(connection: &Connection, limit: usize) -> (Vec<Event>, usize) {
        let (plans, bob) = (Plans::default(), name("bob"));
        let (mut events, mut checks, mut after) = (Vec::new(), 0, 0);
        loop {
            let plan = plans.get(&bob, after).unwrap_or_else(|| {
                let mut draft = Draft::begin(connection, &bob, after).unwrap();
                while !draft.is_done() {
                    draft = draft.advance(connection).unwrap();
                }
                checks += draft.checks;
                let plan = Arc::new(draft.finish());
                plans.keep(&bob, &plan, limit, plans.generation());
                plan
            });
            let (page, looked) = plan.page(connection, &bob, after, limit).unwrap();
            checks += looked;
            events.extend(page.events);
            after = page.end.parse().unwrap();
            if !page.more {
                return (events, checks);
            }
        }
    }

    #[test]
    fn the_work_grows_with_what_is_unread_and_not_with_its_square() {
        for (senders, more) in [(500, 0), (4000, 0), (200, 3000)] {
            let connection = file(senders, more);
            let (events, checks) = read_all(&connection, 50);
            let unread = usize::try_from(senders + more).unwrap();
            assert_eq!(events.len(), unread);
            assert!(events.is_sorted_by_key(|event| (event.sender.as_str().len(), event.seq)));
            assert!(checks < 8 * unread, "{checks} rows for {unread} messages");
        }
    }

    #[test]
    fn what_was_seen_or_stored_since_a_plan_was_made_is_known_to_its_pages() {
        let connection = file(40, 0);
        let bob = name("bob");
        let draft = Draft::begin(&connection, &bob, 0).unwrap().advance(&connection).unwrap();
        let plan = draft.finish();
        let later =
            "INSERT INTO events(pos, conversation, seq, ordinal, sent, sender, id, at, kind, client_id, body)
                VALUES (41, 3, 2, 2, 2, 4, zeroblob(16), 1, 0, 'late', 'late');
            UPDATE members SET cursor = 1, unread = 0 WHERE conversation = 2;";
        connection.execute_batch(later).unwrap();
        let (page, _) = plan.page(&connection, &bob, 0, 50).unwrap();
        assert_eq!((page.events.len(), page.more), (39, true));
        let rest = recent_page(&connection, &bob, page.end.parse().unwrap(), 50).unwrap().unwrap();
        assert_eq!((rest.events.len(), rest.more), (1, false));
        assert_eq!(rest.events[0].body.as_str(), "late");
        let one_by_one = recent_page(&connection, &bob, 39, 1).unwrap().unwrap();
        assert_eq!((one_by_one.end.as_str(), one_by_one.more), ("40", true));
    }

    #[test]
    fn plans_are_bounded_and_none_outlives_its_file() {
        let (plans, bob) = (Plans::default(), name("bob"));
        let plan = |after: i64| {
            let positions = (after + 1..=after + 50_000).collect();
            Arc::new(Plan { after, until: after + 50_000, positions })
        };
        let begun = plans.generation();
        (0..100).for_each(|n| plans.keep(&bob, &plan(n * 50_000), 64, begun));
        assert!(plans.state().positions <= CACHED);
        assert!(plans.get(&bob, 0).is_none() && plans.get(&bob, 99 * 50_000 + 7).is_some());
        plans.clear();
        plans.keep(&bob, &plan(0), 64, begun);
        assert!(plans.get(&bob, 0).is_none());
    }
}
