//! The chat server as its clients see it, with a real message API on a real SQLite file behind it.

#![allow(clippy::unwrap_used, reason = "tests may, also in what they share")]

mod allocations;
mod book;
mod catching_up;
mod closing;
mod document;
mod faults;
mod framing;
mod native;
mod peer;
mod proxy;
mod refusals;
mod text;
mod world;

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

/// Counts allocations, for [`allocations`].
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;
