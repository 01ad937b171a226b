//! What a hostile stranger can do to a running system, which must go on as if nothing were.
//!
//! Each test starts the real program, attacks one of its servers from this machine for a while, and holds four promises against what
//! was seen meanwhile ([`watch`]): no task holds a worker thread for long, others log in and talk, no process takes memory in proportion
//! to what is sent, and TERM is honoured. After the attack the processes fall idle.
//!
//! An attack is a function that is given the system's addresses and goes on until it is told to stop; it is one more test in the file
//! of its server:
//!
//! ```ignore
//! #[test]
//! fn requests_that_never_end() {
//!     System::start().withstands("chat-server", |system, attack| while attack.goes_on() { … });
//! }
//! ```
//!
//! `P2P_LONG=1` attacks for longer, see docs/CONTRIBUTING.md.
#![allow(unreachable_pub, reason = "its modules are the test's own")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints its figures"
)]

#[path = "../support/mod.rs"]
mod support;

mod attack;
mod chat;
mod http;
mod innocent;
mod process;
mod watch;
mod web;
