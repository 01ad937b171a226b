//! The endpoints over real connections, to the byte where existing programs depend on it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access;
mod document;
mod feed;
mod messages;
mod native;
mod server;
