//! What a user has not seen, page by page, in the order of commits.
//!
//! To find that order, every conversation with something unread must be looked at. That is done once for many pages: a [`Plan`] names
//! the positions of the next unread events, and pages follow it. So all pages together cost in proportion to what is unread, however many
//! people wrote it. While a long plan is made, others read in between.
//!
//! A plan goes stale without harm: it only says where to look. Whether an event is the user's and still unread is asked when its page is
//! read.

use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::{ConversationId, Event, UserName};
use rusqlite::{Connection, OptionalExtension, params};

use super::query::{event_query, user_id};
use super::{ledger, row};
use crate::store::Unseen;

/// Positions in a plan, at least: making it costs hardly less with fewer.
const SHORTEST: usize = 256;
/// And at most; half a MiB.
const LONGEST: usize = 64 * 1024;
/// Positions in all plans that are kept; 8 MiB. Overflow rule: the oldest plan goes, and is made again when it is asked for.
const KEPT: usize = 1024 * 1024;
/// Conversations looked at before others have their turn.
const SLICE: usize = 4096;
/// Positions looked at for one page. What was seen since the plan was made is passed over.
const LOOKS: usize = 4096;
/// So many events of everybody are read one by one, to find the user's among the last ones.
const NEWS: i64 = 2048;

/// The positions of a user's unread events, in order.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Everything unread behind this position is named…
    after: i64,
    /// …up to this one.
    until: i64,
    positions: Vec<i64>,
}

/// A plan that is being made. [`Draft::go_on`] until it [`is_done`](Draft::is_done), each in a reading of its own: what is committed
/// meanwhile lies behind its end.
#[derive(Debug)]
pub(super) struct Draft {
    user: Option<i64>,
    /// The user's notes to themselves: the one conversation in which what they said came in for them.
    notes: Option<i64>,
    after: i64,
    until: i64,
    /// Conversations with something unread, and up to where each was read.
    unread: VecDeque<(i64, u64)>,
    /// The first `most` positions; the last of them on top.
    first: BinaryHeap<i64>,
    most: usize,
    truncated: bool,
    /// How many rows were looked at.
    pub(super) looks: usize,
}

impl Draft {
    /// Finds the conversations with something unread.
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
            looks: 0,
        };
        if let Some(user) = draft.user {
            let mut unread = connection.prepare_cached(
                "SELECT conversation, max(cursor, read_to) FROM members INDEXED BY unread
                 WHERE user = ?1 AND unread = 1",
            )?;
            let found = unread.query_map([user], |row| Ok((row.get(0)?, row.get(1)?)))?;
            draft.unread = found.collect::<Result<_, _>>()?;
        }
        draft.looks = draft.unread.len();
        draft.most = draft.unread.len().clamp(SHORTEST, LONGEST);
        Ok(draft)
    }

    /// The position behind which it begins.
    pub(super) fn after(&self) -> i64 {
        self.after
    }

    /// Whether every conversation was looked at.
    pub(super) fn is_done(&self) -> bool {
        self.unread.is_empty()
    }

    /// Whether it is worth it to let another session of the user make it.
    pub(super) fn is_long(&self) -> bool {
        self.unread.len() > SLICE
    }

    /// Looks at the next conversations.
    pub(super) fn go_on(mut self, connection: &Connection) -> rusqlite::Result<Self> {
        let mut following = connection.prepare_cached(
            "SELECT pos FROM events INDEXED BY log WHERE conversation = ?1 AND seq > ?2
                AND (sender <> ?3 OR conversation = ?4) ORDER BY seq",
        )?;
        let slice = SLICE.min(self.unread.len());
        for (conversation, read) in self.unread.drain(..slice).collect::<Vec<_>>() {
            let read = last_before(connection, conversation, read, self.after)?;
            let mut rows = following.query(params![conversation, read, self.user, self.notes])?;
            while let Some(row) = rows.next()? {
                self.looks += 1;
                let pos: i64 = row.get(0)?;
                if pos <= self.after {
                    continue;
                }
                // Later ones of this conversation lie farther back still.
                if pos > self.until || !self.add(pos) {
                    break;
                }
            }
        }
        Ok(self)
    }

    /// Whether a position is among the first.
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

    /// The page behind `after`, and how many rows were looked at.
    pub(super) fn page(
        &self,
        connection: &Connection,
        user: &UserName,
        after: i64,
        limit: usize,
    ) -> rusqlite::Result<(Unseen, usize)> {
        let (mut events, mut looks) = (Vec::new(), 0);
        let from = self.positions.partition_point(|pos| *pos <= after);
        if let Some(id) = user_id(connection, user)? {
            for pos in &self.positions[from..] {
                if events.len() == limit || looks == LOOKS {
                    let end = self.positions[from + looks - 1];
                    return Ok((Unseen { events, end: end.to_string(), more: true }, looks));
                }
                looks += 1;
                events.extend(unread_at(connection, user, id, *pos)?);
            }
        }
        // What was committed since the plan was made comes with the next page.
        let more = ledger::last_pos(connection)? > self.until;
        Ok((Unseen { events, end: self.until.to_string(), more }, looks))
    }
}

/// The page behind `after`, where that is near the end of the file: then nothing but the last events need be looked at.
pub(super) fn news(
    connection: &Connection,
    user: &UserName,
    after: i64,
    limit: usize,
) -> rusqlite::Result<Option<Unseen>> {
    let last = ledger::last_pos(connection)?;
    if last - after > NEWS {
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

/// The conversations in which something may be unread for the user; nothing where there are so many that a plan is as soon made.
fn few_unread(connection: &Connection, user: i64) -> rusqlite::Result<Option<HashSet<i64>>> {
    let mut unread = connection.prepare_cached(
        "SELECT conversation FROM members INDEXED BY unread WHERE user = ?1 AND unread = 1 LIMIT ?2",
    )?;
    let unread: HashSet<i64> =
        unread.query_map(params![user, SLICE], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(Some(unread).filter(|unread| unread.len() < SLICE))
}

/// The event at a position, where it came in for the user and is unread.
fn unread_at(connection: &Connection, user: &UserName, id: i64, pos: i64) -> rusqlite::Result<Option<Event>> {
    let sql = event_query(
        "JOIN members AS m ON m.user = ?2 AND m.conversation = e.conversation
         WHERE e.pos = ?1 AND e.seq > max(m.cursor, m.read_to)",
    );
    let event = connection.prepare_cached(&sql)?.query_row([pos, id], row::event).optional()?;
    Ok(event.filter(|event| event.is_incoming_for(user)))
}

/// The conversation in which the user writes to themselves, where there is one.
fn notes_of(connection: &Connection, user: &UserName) -> rusqlite::Result<Option<i64>> {
    let mut find = connection.prepare_cached("SELECT id FROM conversations WHERE key = ?1")?;
    find.query_row([ConversationId::dm(user, user).as_str()], |row| row.get(0)).optional()
}

/// The last place of a log, from `from` on, that is not behind `pos` in the order of commits. Both grow together, so it is found
/// by doubling and halving: Bentley and Yao, "An almost optimal algorithm for unbounded searching", 1976.
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

/// The plans of those who are being handed what they have not seen.
///
/// Bound: [`KEPT`].
#[derive(Debug, Default)]
pub(super) struct Plans(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// How often positions began to mean something else.
    generation: u64,
    /// The oldest first.
    plans: VecDeque<(UserName, Arc<Plan>)>,
    positions: usize,
    /// Whose long plan is being made; another session of the user waits for it.
    making: HashMap<UserName, Arc<tokio::sync::Mutex<()>>>,
}

impl Plans {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A plan that tells what comes behind a position.
    pub(super) fn get(&self, user: &UserName, after: i64) -> Option<Arc<Plan>> {
        let kept = self.kept();
        let mut plans = kept.plans.iter();
        plans.find(|(of, plan)| of == user && plan.covers(after)).map(|(_, plan)| Arc::clone(plan))
    }

    /// What [`Plans::keep`] wants to know: a plan is of the file as it was before it was begun.
    pub(super) fn generation(&self) -> u64 {
        self.kept().generation
    }

    /// Keeps a plan if pages after the next one will need it.
    pub(super) fn keep(&self, user: &UserName, plan: &Arc<Plan>, limit: usize, generation: u64) {
        let mut kept = self.kept();
        if plan.positions.len() <= limit || kept.generation != generation {
            return;
        }
        kept.positions += plan.positions.len();
        kept.plans.push_back((user.clone(), Arc::clone(plan)));
        while kept.positions > KEPT
            && let Some((_, oldest)) = kept.plans.pop_front()
        {
            kept.positions -= oldest.positions.len();
        }
    }

    /// Held by whoever makes a long plan for a user.
    pub(super) fn making(&self, user: &UserName) -> Arc<tokio::sync::Mutex<()>> {
        let mut kept = self.kept();
        kept.making.retain(|_, lock| Arc::strong_count(lock) > 1);
        Arc::clone(kept.making.entry(user.clone()).or_default())
    }

    /// Positions mean something else from now on.
    pub(super) fn clear(&self) {
        let mut kept = self.kept();
        *kept = Kept { generation: kept.generation + 1, ..Kept::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;

    fn name(text: &str) -> UserName {
        UserName::parse(text).unwrap()
    }

    /// Each of so many senders wrote one message to Bob, and the last of them some more.
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

    /// Reads everything as the store does; answers it, and how many rows were looked at.
    fn read_all(connection: &Connection, limit: usize) -> (Vec<Event>, usize) {
        let (plans, bob) = (Plans::default(), name("bob"));
        let (mut events, mut looks, mut after) = (Vec::new(), 0, 0);
        loop {
            let plan = plans.get(&bob, after).unwrap_or_else(|| {
                let mut draft = Draft::begin(connection, &bob, after).unwrap();
                while !draft.is_done() {
                    draft = draft.go_on(connection).unwrap();
                }
                looks += draft.looks;
                let plan = Arc::new(draft.finish());
                plans.keep(&bob, &plan, limit, plans.generation());
                plan
            });
            let (page, looked) = plan.page(connection, &bob, after, limit).unwrap();
            looks += looked;
            events.extend(page.events);
            after = page.end.parse().unwrap();
            if !page.more {
                return (events, looks);
            }
        }
    }

    #[test]
    fn the_work_grows_with_what_is_unread_and_not_with_its_square() {
        for (senders, more) in [(500, 0), (4000, 0), (200, 3000)] {
            let connection = file(senders, more);
            let (events, looks) = read_all(&connection, 50);
            let unread = usize::try_from(senders + more).unwrap();
            assert_eq!(events.len(), unread);
            assert!(events.is_sorted_by_key(|event| (event.sender.as_str().len(), event.seq)));
            assert!(looks < 8 * unread, "{looks} rows for {unread} messages");
        }
    }

    #[test]
    fn what_was_seen_or_stored_since_a_plan_was_made_is_known_to_its_pages() {
        let connection = file(40, 0);
        let bob = name("bob");
        let draft = Draft::begin(&connection, &bob, 0).unwrap().go_on(&connection).unwrap();
        let plan = draft.finish();
        let later =
            "INSERT INTO events(pos, conversation, seq, ordinal, sent, sender, id, at, kind, client_id, body)
                VALUES (41, 3, 2, 2, 2, 4, zeroblob(16), 1, 0, 'late', 'late');
            UPDATE members SET cursor = 1, unread = 0 WHERE conversation = 2;";
        connection.execute_batch(later).unwrap();
        let (page, _) = plan.page(&connection, &bob, 0, 50).unwrap();
        assert_eq!((page.events.len(), page.more), (39, true));
        let rest = news(&connection, &bob, page.end.parse().unwrap(), 50).unwrap().unwrap();
        assert_eq!((rest.events.len(), rest.more), (1, false));
        assert_eq!(rest.events[0].body.as_str(), "late");
        let one_by_one = news(&connection, &bob, 39, 1).unwrap().unwrap();
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
        assert!(plans.kept().positions <= KEPT);
        assert!(plans.get(&bob, 0).is_none() && plans.get(&bob, 99 * 50_000 + 7).is_some());
        plans.clear();
        plans.keep(&bob, &plan(0), 64, begun);
        assert!(plans.get(&bob, 0).is_none());
    }
}
