//! What one session's queue holds, and all of them together.
//!
//! Each queue is bounded by itself; ten thousand such bounds are ten gigabytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So much of each queue is not counted, and no atomic is touched for it: ten thousand queues hold 320 MiB of it, as much as their
/// sessions' outgoing buffers may.
const FREE: usize = 32 * 1024;
/// What all queues together may hold beyond that.
const ALL: usize = 64 * 1024 * 1024;

/// What all queues hold beyond what is free. Cheap to clone; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct AllQueues(Arc<AtomicUsize>);

/// What one queue holds, given back when this is dropped.
#[derive(Debug)]
pub(super) struct Load {
    all: AllQueues,
    cost: usize,
}

impl Load {
    /// Of a queue that holds nothing.
    pub(super) fn new(all: AllQueues) -> Self {
        Self { all, cost: 0 }
    }

    /// About how many bytes the queue holds.
    pub(super) fn cost(&self) -> usize {
        self.cost
    }

    /// Whether the queue may hold so many. Others may be asked at the same time, so that all together hold a few messages more at worst.
    pub(super) fn may_be(&self, cost: usize) -> bool {
        cost <= FREE || self.all.0.load(Ordering::Relaxed) + counted(cost) - counted(self.cost) <= ALL
    }

    /// It holds so many now.
    pub(super) fn set(&mut self, cost: usize) {
        let (before, now) = (counted(self.cost), counted(cost));
        if now > before {
            self.all.0.fetch_add(now - before, Ordering::Relaxed);
        } else if now < before {
            self.all.0.fetch_sub(before - now, Ordering::Relaxed);
        }
        self.cost = cost;
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.set(0);
    }
}

fn counted(cost: usize) -> usize {
    cost.saturating_sub(FREE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_hold_is_counted_and_given_back() {
        let all = AllQueues::default();
        let mut loads: Vec<Load> = (0..100).map(|_| Load::new(all.clone())).collect();
        let mut full = 0;
        for load in &mut loads {
            while load.may_be(load.cost() + 16_384) && load.cost() < 1 << 20 {
                load.set(load.cost() + 16_384);
            }
            full += usize::from(load.cost() == 1 << 20);
            assert!(load.cost() >= FREE, "what is free is everybody's");
        }
        assert_eq!(full, 66);
        let held: usize = loads.iter().map(Load::cost).sum();
        assert!(held <= ALL + 100 * FREE, "{held}");
        loads.truncate(10);
        assert!(loads[0].may_be(2 << 20));
        drop(loads);
        assert_eq!(all.0.load(Ordering::Relaxed), 0);
    }
}
