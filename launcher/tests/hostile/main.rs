//! Attacks by hostile strangers on a running system, which must continue normally.
//!
//! Each test starts the real program, attacks one of its servers from this machine for a while, and verifies four promises meanwhile
//! ([`watch`]): no task occupies a worker thread for long, other users can log in and chat, no process takes memory in proportion to the
//! input, and TERM is honoured. After the attack the processes become idle. Where the launcher's console is attacked, the operator is
//! answered meanwhile, by the console and by the launcher itself, and the launcher is watched like a server.
//!
//! An attack is a function that is given the system's addresses and continues until it is told to stop; a new one is a test in the file
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
mod console;
mod http;
mod innocent;
mod operator;
mod process;
mod watch;
mod web;
