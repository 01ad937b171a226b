//! Hourly limits per user of a service, so that no user's program and no other service can keep it busy or exceed the operator's budget.
//!
//! An hour starts with a user's first message and expires as a whole, instead of refilling gradually: two programs that answer each other
//! are then silent for the rest of the hour and do not continue at the refill rate.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// The period of the limits.
const HOUR: Duration = Duration::from_secs(3600);
/// Most users tracked. Overflow rule: users whose hour is over are dropped first, then the one who used the least and came last. So a flood
/// of invented names displaces only its own, and nobody who has used up an hour starts over.
const USERS: usize = 4096;

/// The limits of each user; 0 disables a limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Messages processed per hour.
    pub messages: u32,
    /// Cost of answers per hour, in the service's own unit.
    pub cost: u64,
}

/// What to do with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Process it.
    Granted,
    /// It exceeds the limit; tell its sender, once.
    Exceeded {
        /// The time until messages are processed again.
        again: Duration,
    },
    /// It exceeds the limit, and its sender was already told: do not answer.
    Silent,
}

/// What each user has used of their hour.
///
/// Bound: [`USERS`].
#[derive(Debug, Default)]
pub struct Allowance {
    limits: Limits,
    users: BTreeMap<String, Spent>,
}

#[derive(Debug, Clone, Copy)]
struct Spent {
    since: Instant,
    messages: u32,
    cost: u64,
    told: bool,
}

impl Allowance {
    /// Applies these limits to each user.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, users: BTreeMap::new() }
    }

    /// Counts a message from the user with this key.
    pub fn ask(&mut self, user: &str, now: Instant) -> Verdict {
        let Limits { messages, cost } = self.limits;
        let spent = self.spent(user, now);
        let has_room = (messages == 0 || spent.messages < messages) && (cost == 0 || spent.cost < cost);
        if has_room {
            spent.messages += 1;
            Verdict::Granted
        } else if std::mem::replace(&mut spent.told, true) {
            Verdict::Silent
        } else {
            Verdict::Exceeded { again: HOUR.saturating_sub(now.duration_since(spent.since)) }
        }
    }

    /// Counts the cost of an answer to the user with this key.
    pub fn spend(&mut self, user: &str, cost: u64, now: Instant) {
        let spent = self.spent(user, now);
        spent.cost = spent.cost.saturating_add(cost);
    }

    /// The user's current hour.
    fn spent(&mut self, user: &str, now: Instant) -> &mut Spent {
        let is_over = |spent: &Spent| now.duration_since(spent.since) >= HOUR;
        if self.users.len() >= USERS && !self.users.contains_key(user) {
            self.users.retain(|_, spent| !is_over(spent));
            self.drop_least_active();
        }
        let fresh = Spent { since: now, messages: 0, cost: 0, told: false };
        let spent = self.users.entry(user.to_owned()).or_insert(fresh);
        if is_over(spent) {
            *spent = fresh;
        }
        spent
    }

    fn drop_least_active(&mut self) {
        if self.users.len() < USERS {
            return;
        }
        let order = |spent: &Spent| (spent.told, spent.messages, spent.cost, Reverse(spent.since));
        let least = self.users.iter().min_by_key(|(_, spent)| order(spent)).map(|(user, _)| user.clone());
        if let Some(user) = least {
            self.users.remove(&user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowance(messages: u32, cost: u64) -> Allowance {
        Allowance::new(Limits { messages, cost })
    }

    #[test]
    fn over_the_limit_there_is_one_answer_and_then_none_until_the_hour_is_over() {
        let (mut allowance, start) = (allowance(2, 0), Instant::now());
        let at = |minutes: u64| start + Duration::from_secs(60 * minutes);
        let asked = [at(0), at(1), at(10), at(11), at(59)].map(|now| allowance.ask("alice", now));
        let exceeded = Verdict::Exceeded { again: Duration::from_secs(50 * 60) };
        assert_eq!(asked, [Verdict::Granted, Verdict::Granted, exceeded, Verdict::Silent, Verdict::Silent]);
        assert_eq!(allowance.ask("bob", at(11)), Verdict::Granted);
        assert_eq!(allowance.ask("alice", at(60)), Verdict::Granted);
    }

    #[test]
    fn what_the_answers_cost_counts_too() {
        let (mut allowance, now) = (allowance(0, 100), Instant::now());
        for cost in [60, 60] {
            assert_eq!(allowance.ask("alice", now), Verdict::Granted);
            allowance.spend("alice", cost, now);
        }
        assert!(matches!(allowance.ask("alice", now), Verdict::Exceeded { .. }));
        let mut unlimited = self::allowance(0, 0);
        assert!((0..1000).all(|_| unlimited.ask("alice", now) == Verdict::Granted));
    }

    #[test]
    fn many_invented_names_make_nobody_start_over_and_cost_no_memory() {
        let (mut allowance, start) = (allowance(1, 0), Instant::now());
        allowance.ask("alice", start);
        for n in 0..USERS as u64 + 300 {
            allowance.ask(&format!("invented{n}"), start + Duration::from_millis(n));
        }
        assert_eq!(allowance.users.len(), USERS);
        let later = start + Duration::from_secs(60);
        assert!(matches!(allowance.ask("alice", later), Verdict::Exceeded { .. }));
        assert_eq!(allowance.ask("late", later), Verdict::Granted);
    }
}
