//! The message history on this machine: one SQLite file per user, `chat_history_<username>.db`.
//!
//! Other programs read its table `messages`; everything else is in additional tables, which they ignore. Inside:
//!
//! * [`entry`]: a stored message. [`schema`]: the tables. [`open`]: finding and opening the file, and working without it.
//! * [`write`] and [`read`]: operations. [`keeper`]: their thread. [`export`]: for `launcher history`.

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
