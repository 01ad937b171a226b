//! From a sender to the store, and from the store to everybody concerned.
//!
//! * In: [`appender`], which keeps each sender's messages in order by their [`lane`].
//! * Out: [`feed`] → [`hub`] → each session's [`outlet`] with its [`inbox`]; what an inbox could not hold, by [`catch_up`].
//! * How long that took: [`transit`].
//! * How far everybody has read: [`cursors`].

pub(crate) mod appender;
pub(crate) mod catch_up;
pub(crate) mod cursors;
pub(crate) mod feed;
pub(crate) mod hub;
pub(crate) mod inbox;
pub(crate) mod lane;
pub(crate) mod login_time;
pub(crate) mod outlet;
pub(crate) mod positions;
pub(crate) mod rendered;
pub(crate) mod transit;
