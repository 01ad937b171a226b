//! One [`Allowance`] per key, such as per address.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use tokio::time::Instant;

use crate::allowance::Allowance;

/// The allowances of recently active keys, all with the same rate and burst.
///
/// Bound: `most` entries. Overflow rule: the least recently used entry is dropped, and its key starts with a full allowance when it is used
/// again. That gains nothing if the allowance had refilled by then, which takes `burst / rate` seconds.
#[derive(Debug)]
pub struct Allowances<K> {
    rate: u32,
    burst: u32,
    most: usize,
    of: HashMap<K, Entry>,
    /// Keys by last use, the least recent first.
    order: BTreeMap<u64, K>,
    uses: u64,
}

#[derive(Debug)]
struct Entry {
    allowance: Allowance,
    used: u64,
}

impl<K: Copy + Eq + Hash> Allowances<K> {
    /// Each allowance fills at `rate` per second up to `burst`; there are at most `most`. A rate of 0 disables the limit.
    #[must_use]
    pub fn new(rate: u32, burst: u32, most: usize) -> Self {
        Self { rate, burst, most, of: HashMap::new(), order: BTreeMap::new(), uses: 0 }
    }

    /// Takes one token of this key's allowance.
    ///
    /// # Errors
    /// The time at which a token will be available, if there is none now.
    pub fn take(&mut self, key: K, now: Instant) -> Result<(), Instant> {
        self.take_cost(key, now, 1.0)
    }

    /// Takes `cost` tokens; see [`Allowance::take_cost`].
    ///
    /// # Errors
    /// The time at which enough tokens will be available, if there are too few now.
    pub fn take_cost(&mut self, key: K, now: Instant, cost: f64) -> Result<(), Instant> {
        if self.rate == 0 {
            return Ok(());
        }
        self.uses += 1;
        let (rate, burst, uses) = (self.rate, self.burst, self.uses);
        let entry = self
            .of
            .entry(key)
            .or_insert_with(|| Entry { allowance: Allowance::new(rate, burst, now), used: uses });
        let taken = entry.allowance.take_cost(now, cost);
        let before = std::mem::replace(&mut entry.used, uses);
        self.order.remove(&before);
        self.order.insert(uses, key);
        if self.of.len() > self.most
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.of.remove(&oldest);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_key_has_its_own_allowance() {
        let (mut each, now) = (Allowances::new(1, 2, 8), Instant::now());
        assert!(each.take("one", now).is_ok() && each.take("one", now).is_ok());
        let at = each.take("one", now).unwrap_err();
        assert!((900..1100).contains(&(at - now).as_millis()));
        assert!(each.take("other", now).is_ok());
        assert!(each.take("one", at).is_ok() && each.take("one", at).is_err());
        let mut unlimited = Allowances::new(0, 0, 1);
        assert!((0..1000).all(|_| unlimited.take((), now).is_ok()) && unlimited.of.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn many_other_keys_do_not_reset_an_active_one() {
        let (mut each, mut now) = (Allowances::new(1, 4, 100), Instant::now());
        let mut taken = 0;
        for other in 1..10_000 {
            now += Duration::from_millis(1);
            let _ = each.take(other, now);
            if other % 50 == 0 {
                taken += u32::from(each.take(0, now).is_ok());
            }
            assert!(each.of.len() <= 100 && each.order.len() == each.of.len());
        }
        assert!((13..=14).contains(&taken), "four at once and one a second for ten seconds, not {taken}");
    }
}
