//! Clients that end their lines, on slow and lossy links: no line is split. The links are emulated ([`link`]), which needs root, as in CI;
//! otherwise it reports that nothing was tested.
#![allow(unreachable_pub, reason = "its modules are the test's own")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what is skipped"
)]

#[path = "../lan/network.rs"]
mod network;
#[path = "../support/mod.rs"]
mod support;

mod hall;
mod link;
mod pattern;
mod programs;
mod session;
mod silent;
mod table;
mod world;
