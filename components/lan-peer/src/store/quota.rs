//! The strangers' quota: peers that only send us messages cannot displace those that the user knows.
//!
//! A stranger is a peer that the user has not verified, blocked, named or written to: keys cost nothing. Bounds: [`Quota::together`] for
//! all of them, configurable, a `SHARE`th of it for each, and `RESERVED` pages of the file for the user's own messages. Overflow rule: a
//! stranger over its share loses its own oldest messages; if all together exceed the quota, the largest loses its oldest ones. If the file
//! is nearly full, strangers' messages are deleted first; then nothing more is accepted: messages are not acknowledged and wait on the
//! sender's disk. Deleted messages are counted, and logged at once and then once in [`TELL`].

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use kit::metrics::Counter;

/// Default quota of all strangers' messages together, in MiB; each message counts 512 bytes beside its text.
pub(crate) const DEFAULT_MIB: u32 = 64;
/// Most stored strangers, because anybody can have many keys. Overflow rule: of the address with the most strangers, the least recently
/// seen is deleted with its messages, so that a flood of keys displaces only its own.
pub(super) const MAX_STRANGERS: i64 = 256;
/// The interval of log messages about deleted messages.
const TELL: Duration = Duration::from_secs(60);

/// Strangers' messages that were deleted, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deleted {
    pub(super) count: usize,
    pub(super) why: Reason,
}

/// Why messages were deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// One stranger, or all together, exceeded the quota.
    TooMuch,
    /// There were too many strangers.
    TooMany,
    /// The file is nearly full.
    NearlyFull,
}

/// The quota, and what was deleted.
#[derive(Debug)]
pub(crate) struct Quota {
    /// Bytes for all strangers together.
    pub(super) together: i64,
    dropped: Counter,
    /// When deletions were last logged, and how many followed.
    told: Mutex<(Option<Instant>, usize)>,
}

impl Quota {
    /// Creates a quota for all strangers together.
    pub(crate) fn new(mib: u32) -> Self {
        Self { together: i64::from(mib) << 20, dropped: Counter::default(), told: Mutex::default() }
    }

    /// The number of strangers' messages deleted to make room.
    pub(crate) fn dropped(&self) -> &Counter {
        &self.dropped
    }

    /// Records deletions once they are durable.
    pub(super) fn note(&self, Deleted { count, why }: Deleted) {
        if count == 0 {
            return;
        }
        self.dropped.add(count);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, untold) = &mut *told;
        *untold += count;
        if at.is_none_or(|at| at.elapsed() >= TELL) {
            let deleted = std::mem::take(untold);
            *at = Some(Instant::now());
            let reason = match why {
                Reason::TooMuch => {
                    format!("they sent more than is kept (lan-peer.strangers-mib = {})", self.together >> 20)
                }
                Reason::TooMany => format!("more than {MAX_STRANGERS} of them sent some"),
                Reason::NearlyFull => "the store is nearly full".to_owned(),
            };
            tracing::warn!(
                deleted,
                "deleted messages of strangers: {reason}; those of peers that you wrote to, named or verified are kept"
            );
        }
    }
}
