//! The store of peers and messages: SQLite, on its own thread.
//!
//! The life of a call: it is queued ([`QUEUE`] calls; callers wait for room), the thread executes and commits it, and answers. Messages are
//! durable by then. Met nodes survive a crash of this process at once, and one of the machine with the next synced call: on a network of
//! fifty, everybody meets everybody at startup, and syncing each time would take most of it.
//! [`history`] has messages; [`people`] has peers that sent messages or were given a name. [`outbox`] numbers outgoing messages to nodes,
//! and [`inbox`] stores incoming ones in order. [`quota`] limits what strangers may store.

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
