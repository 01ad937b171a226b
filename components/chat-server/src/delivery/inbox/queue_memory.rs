//! The memory of one session's queue, and of all queues together.
//!
//! Each queue has a bound of its own, but ten thousand of these add up to ten gigabytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// This much of each queue is not counted, which saves an atomic operation: 320 MiB for ten thousand queues, as much as their sessions'
/// output buffers may take.
const UNCOUNTED: usize = 32 * 1024;
/// The bound of all queues together beyond [`UNCOUNTED`].
const ALL: usize = 64 * 1024 * 1024;

/// The counted memory of all queues. Cheap to clone; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct TotalQueueMemory(Arc<AtomicUsize>);

/// The memory of one queue, released when dropped.
#[derive(Debug)]
pub(super) struct QueueMemory {
    all: TotalQueueMemory,
    cost: usize,
}

impl QueueMemory {
    /// For an empty queue.
    pub(super) fn new(all: TotalQueueMemory) -> Self {
        Self { all, cost: 0 }
    }

    /// The approximate number of bytes in the queue.
    pub(super) fn cost(&self) -> usize {
        self.cost
    }

    /// Whether the queue may grow to this size. Concurrent queues may together exceed the bound by a few messages.
    pub(super) fn has_room_for(&self, cost: usize) -> bool {
        cost <= UNCOUNTED || self.all.0.load(Ordering::Relaxed) + counted(cost) - counted(self.cost) <= ALL
    }

    /// Sets the queue's size.
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

impl Drop for QueueMemory {
    fn drop(&mut self) {
        self.set(0);
    }
}

fn counted(cost: usize) -> usize {
    cost.saturating_sub(UNCOUNTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_hold_is_counted_and_given_back() {
        let all = TotalQueueMemory::default();
        let mut memories: Vec<QueueMemory> = (0..100).map(|_| QueueMemory::new(all.clone())).collect();
        let mut full = 0;
        for memory in &mut memories {
            while memory.has_room_for(memory.cost() + 16_384) && memory.cost() < 1 << 20 {
                memory.set(memory.cost() + 16_384);
            }
            full += usize::from(memory.cost() == 1 << 20);
            assert!(memory.cost() >= UNCOUNTED, "what is free is everybody's");
        }
        assert_eq!(full, 66);
        let held: usize = memories.iter().map(QueueMemory::cost).sum();
        assert!(held <= ALL + 100 * UNCOUNTED, "{held}");
        memories.truncate(10);
        assert!(memories[0].has_room_for(2 << 20));
        drop(memories);
        assert_eq!(all.0.load(Ordering::Relaxed), 0);
    }
}
