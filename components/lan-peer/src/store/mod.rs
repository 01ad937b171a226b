//! What is kept: peers and messages. SQLite, on a thread of its own.
//!
//! The life of a call: it goes into a queue of [`QUEUE`] calls, where callers wait for room; the thread takes it, commits, and answers.
//! What was said is on the disk by then. Who was met outlives a crash of this process at once, and one of the machine once something is
//! said: on a network of fifty everybody meets everybody at a start, and a disk that is waited for each time takes most of it.
//! [`history`] is what was said; [`people`] is everybody who said something or was given a name. [`outbox`] numbers what goes out to
//! our own nodes, and [`inbox`] takes in what is next. [`quota`] bounds what strangers may take of the room.

mod damage;
mod database;
mod error;
mod history;
mod inbox;
mod outbox;
mod people;
mod quota;
mod room;
mod schema;
mod trim;

pub(crate) use database::Store;
pub(crate) use error::StoreError;
pub(crate) use history::Draft;
pub(crate) use inbox::Incoming;
pub(crate) use outbox::Outgoing;
pub(crate) use people::Person;
pub(crate) use quota::{DEFAULT_MIB, Quota};
#[cfg(test)]
use schema::OpenError;

#[cfg(test)]
mod tests;
