//! Programs of the operator's under a real launcher: what they are started with, how they are stopped, and what becomes of what they write.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails, also in what sets it up")]
#![allow(clippy::print_stdout, reason = "what is left out says why")]

mod ending;
mod environment;
mod foreground;
mod forking;
mod house;
mod identity;
mod limits;
mod place;
mod split;
mod stopping;
#[path = "../support/mod.rs"]
mod support;
