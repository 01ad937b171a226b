//! The queue of cursor moves, and which users have moves in flight. Pure: [`Cursors`](super::Cursors) holds the lock around it.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use protocol::native::Device;
use protocol::{ConversationId, UserName};

/// Pending moves per user. Overflow rule: the user's other cursors are not moved, and those events are shown to this user again.
const LIMIT_PER_USER: usize = 8 * 1024;
/// Pending moves in total. Same overflow rule.
const LIMIT: usize = 128 * 1024;
/// Moves of one user in a batch that is shared with others.
const PER_SECOND: usize = 64;

/// User, device and conversation.
pub(super) type Cursor = (UserName, Option<Device>, ConversationId);

/// Pending moves by user. Users take turns, so that one who moves thousands of cursors does not delay one who moves a single cursor.
///
/// Bound: [`LIMIT`], and [`LIMIT_PER_USER`] for one user.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    moves: HashMap<UserName, HashMap<(Option<Device>, ConversationId), u64>>,
    /// Each user with pending moves, once; the one who has waited longest first.
    turns: VecDeque<UserName>,
    count: usize,
    batches: u64,
    /// The batches in flight that carry moves of a user.
    in_flight: HashMap<UserName, Vec<u64>>,
}

/// Moves taken to be sent.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) id: u64,
    pub(super) moves: Vec<(Cursor, u64)>,
}

impl Waiting {
    /// Adds a move of a cursor up to this `seq`.
    pub(super) fn add(&mut self, (user, device, conversation): Cursor, seq: u64) {
        if !self.moves.contains_key(&user) {
            if self.count >= LIMIT {
                return;
            }
            self.turns.push_back(user.clone());
        }
        let moves = self.moves.entry(user).or_default();
        let full = moves.len() >= LIMIT_PER_USER || self.count >= LIMIT;
        match moves.entry((device, conversation)) {
            Entry::Occupied(mut known) => _ = known.insert(seq.max(*known.get())),
            Entry::Vacant(_) if full => {}
            Entry::Vacant(place) => {
                place.insert(seq);
                self.count += 1;
            }
        }
    }

    /// The next batch over all users, of at most `most` moves.
    pub(super) fn take(&mut self, most: usize) -> Option<Batch> {
        let mut batch = self.begin_batch();
        while batch.moves.len() < most
            && let Some(user) = self.turns.pop_front()
        {
            self.take_from(&user, PER_SECOND.min(most - batch.moves.len()), &mut batch);
        }
        (!batch.moves.is_empty()).then_some(batch)
    }

    /// All pending moves of one user, and the batches in flight that already carry moves of that user.
    pub(super) fn take_own(&mut self, user: &UserName) -> (Option<Batch>, Vec<u64>) {
        let earlier = self.in_flight.get(user).cloned().unwrap_or_default();
        if !self.moves.contains_key(user) {
            return (None, earlier);
        }
        self.turns.retain(|other| other != user);
        let mut batch = self.begin_batch();
        self.take_from(user, usize::MAX, &mut batch);
        (Some(batch), earlier)
    }

    fn begin_batch(&mut self) -> Batch {
        self.batches += 1;
        Batch { id: self.batches, moves: Vec::new() }
    }

    /// Takes moves of a user who is not in `turns`. If any are left the user is queued again.
    fn take_from(&mut self, user: &UserName, most: usize, batch: &mut Batch) {
        let Some(moves) = self.moves.get_mut(user) else { return };
        let mut left = most;
        let taken = moves.extract_if(|_, _| {
            let take = left > 0;
            left -= usize::from(take);
            take
        });
        let before = batch.moves.len();
        batch
            .moves
            .extend(taken.map(|((device, conversation), seq)| ((user.clone(), device, conversation), seq)));
        self.count -= batch.moves.len() - before;
        if moves.is_empty() {
            self.moves.remove(user);
        } else {
            self.turns.push_back(user.clone());
        }
        let batches = self.in_flight.entry(user.clone()).or_default();
        if batches.last() != Some(&batch.id) {
            batches.push(batch.id);
        }
    }

    /// A batch is no longer in flight. Moves after the first `done` are queued again.
    pub(super) fn landed(&mut self, batch: Batch, done: usize) {
        for of_user in batch.moves.chunk_by(|(one, _), (other, _)| one.0 == other.0) {
            let Some(((user, ..), _)) = of_user.first() else { continue };
            if let Some(batches) = self.in_flight.get_mut(user) {
                batches.retain(|id| *id != batch.id);
                if batches.is_empty() {
                    self.in_flight.remove(user);
                }
            }
        }
        batch.moves.into_iter().skip(done).for_each(|(cursor, seq)| self.add(cursor, seq));
        if self.moves.is_empty() {
            // Release the memory of a flood.
            (self.moves, self.turns) = (HashMap::new(), VecDeque::new());
        }
    }

    /// Whether any of these batches with moves of a user is in flight.
    pub(super) fn any_in_flight(&self, user: &UserName, batches: &[u64]) -> bool {
        self.in_flight.get(user).is_some_and(|now| now.iter().any(|id| batches.contains(id)))
    }

    /// How many moves are pending.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Whether nothing is pending or in flight.
    pub(super) fn is_empty(&self) -> bool {
        self.moves.is_empty() && self.in_flight.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::name;

    fn cursor(user: &str, n: usize) -> Cursor {
        let user = name(user);
        let conversation = ConversationId::dm(&user, &name(&format!("peer{n}")));
        (user, None, conversation)
    }

    #[test]
    fn users_take_turns() {
        let mut waiting = Waiting::default();
        (0..1000).for_each(|n| waiting.add(cursor("flood", n), 1));
        waiting.add(cursor("ann", 0), 1);
        let batch = waiting.take(256).unwrap();
        assert_eq!(batch.moves.len(), 256);
        assert_eq!(batch.moves.iter().filter(|((user, ..), _)| *user == name("ann")).count(), 1);
        waiting.landed(batch, usize::MAX);
        assert_eq!(waiting.count, 1000 - 255);
        assert!(waiting.in_flight.is_empty());
    }

    #[test]
    fn many_moves_of_one_cursor_are_one_and_it_goes_forward_only() {
        let mut waiting = Waiting::default();
        [3, 9, 4].into_iter().for_each(|seq| waiting.add(cursor("ann", 0), seq));
        let batch = waiting.take(256).unwrap();
        assert_eq!(batch.moves, [(cursor("ann", 0), 9)]);
        waiting.add(cursor("ann", 0), 10);
        waiting.landed(batch, 0);
        let batch = waiting.take_own(&name("ann")).0.unwrap();
        assert_eq!(batch.moves, [(cursor("ann", 0), 10)], "what came meanwhile is not taken back");
        waiting.landed(batch, usize::MAX);
        assert!(waiting.is_empty() && waiting.turns.is_empty() && waiting.count == 0);
    }

    #[test]
    fn moves_in_flight_are_tracked_by_user() {
        let (mut waiting, ann) = (Waiting::default(), name("ann"));
        waiting.add(cursor("ann", 0), 1);
        waiting.add(cursor("bob", 0), 1);
        let batch = waiting.take(256).unwrap();
        waiting.add(cursor("ann", 1), 1);
        let (own, earlier) = waiting.take_own(&ann);
        let own = own.unwrap();
        assert_eq!(own.moves, [(cursor("ann", 1), 1)]);
        assert_eq!(earlier, [batch.id]);
        waiting.add(cursor("ann", 2), 1);
        let later = waiting.take(256).unwrap();
        assert!(waiting.any_in_flight(&ann, &earlier));
        waiting.landed(batch, usize::MAX);
        assert!(!waiting.any_in_flight(&ann, &earlier), "others of hers are");
        waiting.landed(own, usize::MAX);
        waiting.landed(later, usize::MAX);
        assert!(waiting.is_empty());
        assert!(waiting.take_own(&ann).0.is_none());
    }

    #[test]
    fn one_user_fills_no_more_than_their_part() {
        let mut waiting = Waiting::default();
        (0..=LIMIT_PER_USER).for_each(|n| waiting.add(cursor("flood", n), 1));
        assert_eq!(waiting.count, LIMIT_PER_USER);
        waiting.add(cursor("ann", 0), 1);
        assert_eq!(waiting.count, LIMIT_PER_USER + 1);
    }
}
