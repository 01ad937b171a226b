//! The whole system through its one binary, on real sockets, files and processes.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod accounts;
mod backup;
mod book;
mod bot;
mod demo;
mod disk;
mod every_way;
mod faults;
mod http;
mod lost_store;
mod metrics;
mod no_authorities;
mod probe;
mod readme;
mod running;
mod stopped;
mod terminal;
mod text;
mod trace;
mod upgrade;
mod websocket;
