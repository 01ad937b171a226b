//! How much room strangers may take: nobody who only talks to us can keep out those whom people here know.
//!
//! A stranger is who was not verified, blocked or given a name here, and whom nobody here ever wrote to: a new key costs nothing.
//! Bounds: [`Quota::together`] for all of them, which an operator may set, a `SHARE`th of it for each, and `RESERVED` pages of the file
//! for what people here write. Overflow rule: a stranger that says more loses its own oldest messages; where all together have too much,
//! the one that has most loses its oldest ones. When the file is nearly full strangers lose all, and then nothing more is taken in: it is
//! not acknowledged, and waits on the sender's disk. What was deleted, also with a stranger that had to go, is counted, and logged at once and then once in [`TELL`].

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use kit::metrics::Counter;

/// Bytes of all strangers' messages together, in MiB, where nothing else is set; 512 bytes for each message beside its text.
pub(crate) const DEFAULT_MIB: u32 = 64;
/// Most strangers that are kept: anybody can be many. A stranger has no name given here, was not verified or blocked, and nobody
/// here ever wrote to them. Overflow rule: of those at the address that has most of them, the one that is silent for longest goes with all
/// that it said: whoever makes up many keys pushes out its own.
pub(super) const MAX_STRANGERS: i64 = 256;
/// That messages are deleted is logged this often.
const TELL: Duration = Duration::from_secs(60);

/// Messages of strangers that were deleted, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deleted {
    pub(super) count: usize,
    pub(super) why: Why,
}

/// Why room was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// One of them, or all together, sent more than is kept.
    Much,
    /// There were more of them than are kept.
    Many,
    /// The file is nearly full.
    Full,
}

/// What strangers may take, and what they lost.
#[derive(Debug)]
pub(crate) struct Quota {
    /// Bytes of all of them together.
    pub(super) together: i64,
    dropped: Counter,
    /// When deletions were logged last, and how many came after that.
    told: Mutex<(Option<Instant>, usize)>,
}

impl Quota {
    /// So much for all of them together.
    pub(crate) fn new(mib: u32) -> Self {
        Self { together: i64::from(mib) << 20, dropped: Counter::default(), told: Mutex::default() }
    }

    /// Messages of strangers that were deleted to make room.
    pub(crate) fn dropped(&self) -> &Counter {
        &self.dropped
    }

    /// Called once that is on the disk.
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
                Why::Much => {
                    format!("they sent more than is kept (lan-peer.strangers-mib = {})", self.together >> 20)
                }
                Why::Many => format!("more than {MAX_STRANGERS} of them sent some"),
                Why::Full => "the store is nearly full".to_owned(),
            };
            tracing::warn!(
                deleted,
                "deleted messages of strangers: {reason}; those of peers that you wrote to, named or verified are kept"
            );
        }
    }
}
