//! The bot against a scripted model and fakes of the chat server and the message API.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod answers;
mod commands;
mod context;
mod endpoints;
mod failures;
mod harness;
mod limits;
mod restarts;
mod script;
