//! From a sender to the store, and from the store to the recipients' sessions.
//!
//! * Inbound: [`appender`]; [`retry_fence`] keeps a sender's messages in order when some must be sent again.
//! * Outbound: [`feed`] → [`hub`] → each session's [`session_handle`] with its [`inbox`]; [`catch_up`] reads from the store what an inbox
//!   could not hold.
//! * Delivery latency: [`latency`].
//! * Cursors: [`cursors`].

pub(crate) mod appender;
pub(crate) mod catch_up;
pub(crate) mod cursors;
pub(crate) mod feed;
pub(crate) mod hub;
pub(crate) mod inbox;
pub(crate) mod last_seqs;
pub(crate) mod latency;
pub(crate) mod login_time;
pub(crate) mod rendered;
pub(crate) mod retry_fence;
pub(crate) mod session_handle;
mod signal;
