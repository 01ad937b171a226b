//! The ports with TLS, as clients see them that we did not write: `openssl s_client`, `curl`, Python's `ssl`, `ncat`; those that are not
//! installed are left out. And `launcher chat --tls`, a renewed certificate, a restart.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it left out"
)]

mod browser;
mod clients;
mod doors;
mod renewal;
#[path = "../support/mod.rs"]
mod support;
mod terminal;
#[path = "../support/webdriver.rs"]
mod webdriver;
mod world;
