//! Reads the components' logs: what was written, over rotations, and what is written from then on.
//!
//! * [`tail`] is the end of one log and what follows it, [`past`] all of it that is still there.
//! * [`merge`] makes one of several, by the [`timestamp`]s that their lines begin with.

mod merge;
mod past;
pub(crate) mod tail;
pub(crate) mod timestamp;

pub(crate) use merge::{Line, known, last, poll, since, timed};
pub(crate) use tail::Follower;
