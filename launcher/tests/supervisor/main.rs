//! The supervisor with real processes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails, also in what sets it up")]

mod bench;
mod children;
mod crash;
mod operator;
mod orphans;
mod probe;
mod start;
mod stop;
