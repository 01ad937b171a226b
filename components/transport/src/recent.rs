//! A bounded map that forgets what was not touched for the longest time.

use std::collections::BTreeMap;

/// Values by key. Bound: `limit` entries. Overflow rule: the entry that was touched least recently is dropped, whatever its key.
#[derive(Debug, Clone)]
pub struct Recent<K, V> {
    limit: usize,
    entries: BTreeMap<K, Entry<V>>,
    /// Keys by the time of their last touch.
    order: BTreeMap<u64, K>,
    /// Counts touches: a clock that never stands still or jumps.
    touches: u64,
}

#[derive(Debug, Clone)]
struct Entry<V> {
    touched: u64,
    value: V,
}

impl<K: Ord + Clone, V> Recent<K, V> {
    /// An empty map of at most `limit` entries.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, entries: BTreeMap::new(), order: BTreeMap::new(), touches: 0 }
    }

    /// The value of a key, made from its default where there is none. The entry is now the most recent one.
    pub fn touch(&mut self, key: &K) -> &mut V
    where
        V: Default,
    {
        let touched = self.entries.get(key).map(|entry| entry.touched);
        // Most touches repeat the last one.
        if touched.is_none_or(|touched| touched != self.touches) {
            self.touches += 1;
            if let Some(before) = touched {
                self.order.remove(&before);
            } else if self.entries.len() >= self.limit
                && let Some((_, oldest)) = self.order.pop_first()
            {
                self.entries.remove(&oldest);
            }
            self.order.insert(self.touches, key.clone());
        }
        let fresh = || Entry { touched: self.touches, value: V::default() };
        let entry = self.entries.entry(key.clone()).or_insert_with(fresh);
        entry.touched = self.touches;
        &mut entry.value
    }

    /// Takes an entry out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let entry = self.entries.remove(key)?;
        self.order.remove(&entry.touched);
        Some(entry.value)
    }

    /// Takes the entry out that was touched least recently.
    pub fn pop_oldest(&mut self) -> Option<(K, V)> {
        let (_, key) = self.order.pop_first()?;
        let entry = self.entries.remove(&key)?;
        Some((key, entry.value))
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.order.clear();
    }

    /// Every entry, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, entry)| (key, &entry.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(recent: &Recent<&'static str, u8>) -> Vec<&'static str> {
        recent.iter().map(|(key, _)| *key).collect()
    }

    #[test]
    fn what_was_not_touched_for_the_longest_time_goes_first_whatever_its_key() {
        let mut recent = Recent::new(3);
        for key in ["z", "a", "m"] {
            *recent.touch(&key) += 1;
        }
        *recent.touch(&"z") += 1;
        recent.touch(&"b");
        assert_eq!(keys(&recent), ["b", "m", "z"], "a was touched before all others");
        assert_eq!(*recent.touch(&"z"), 2, "its value stayed");
        assert_eq!(recent.remove(&"b"), Some(0));
        assert_eq!((recent.pop_oldest(), recent.pop_oldest()), (Some(("m", 1)), Some(("z", 2))));
        assert_eq!(recent.pop_oldest(), None);
    }
}
