//! Processes that are killed or do not behave: nothing is left, and everything recovers.
//!
//! `P2P_LONG=1` selects the long forms, see docs/CONTRIBUTING.md.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails, also in what sets it up")]
#![allow(clippy::print_stdout, reason = "the long forms print their figures")]

mod children_killed;
mod configuration;
mod deleted;
mod escape;
mod external;
mod figures;
mod launcher_killed;
mod misbehave;
mod open_files;
mod other_user;
mod processes;
mod signals;
mod standstill;
mod stop_matrix;
mod storm;
#[path = "../support/mod.rs"]
mod support;
mod wrapped;
