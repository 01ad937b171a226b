//! Machines on one network, each a network namespace, connected by a bridge. Needs root, as in CI; otherwise it reports that nothing was
//! tested.
#![allow(unreachable_pub, reason = "its modules are the test's own")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what is skipped"
)]

#[path = "../support/mod.rs"]
mod support;
#[path = "../support/webdriver.rs"]
mod webdriver;

mod attack;
mod command_line;
mod network;
mod networks;
mod node;
mod old_peer;
mod old_protocol;
mod page;
mod partition;
mod routes;
mod scale;
mod secure;
mod stranger;
mod strangers;
