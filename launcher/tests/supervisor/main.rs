//! The supervisor with real processes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails, also in what sets it up")]

mod bench;
mod children;
mod crash;
mod operator;
mod orphans;
mod probe;
#[path = "../support/processes.rs"]
#[expect(unreachable_pub, reason = "it is a module of several test binaries")]
mod processes;
mod start;
mod stop;
