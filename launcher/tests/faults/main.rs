//! What is left, and what comes back, when processes are killed or do not do as they are told.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails, also in what sets it up")]

mod external;
#[path = "../support/mod.rs"]
mod support;
