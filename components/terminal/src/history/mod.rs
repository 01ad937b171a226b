//! What was said, kept on this machine: one SQLite file for each user, `chat_history_<username>.db`.
//!
//! Its table `messages` is one that other programs read; everything else stands in tables of our own beside it, so those programs
//! never notice. Inside:
//!
//! * [`entry`]: one message as it is kept. [`schema`]: the tables. [`open`]: finding and opening the file, and what to do without.
//! * [`write`] and [`read`]: what is done with it. [`keeper`]: the thread that does it. [`export`]: for `launcher history`.

mod database;
pub(crate) mod entry;
mod export;
pub(crate) mod keeper;
pub(crate) mod open;
mod print;
pub(crate) mod read;
mod schema;
pub(crate) mod write;

#[cfg(test)]
mod tests;

pub use export::Format;
pub(crate) use export::Record;
pub use print::{HistoryOptions, print};
