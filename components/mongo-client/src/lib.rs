//! A client of MongoDB, and the only crate that uses its driver.
//!
//! The driver's functions are generic, and translated once more wherever they are used. Here they are used once, behind functions that are
//! not generic and return boxed futures; this crate is optimised for size, because it waits for sockets.
//!
//! * [`Database`] connects; [`Collection`] reads and writes, in sessions that never read older data than this process knows of.
//! * [`Changes`] is a change stream, [`Scan`] a query of any length.
//! * [`CallError`] is a failure; every wait is bounded (`call`).
//! * [`check`] tests a connection, and explains what is wrong with it.
//!
//! Knows nothing of messages: documents go in and come out as BSON.

pub mod check;

mod call;
mod changes;
mod clock;
mod collection;
mod database;
mod find;

pub use call::{Answer, CallError, DUPLICATE_KEY, FirstDuplicate};
pub use changes::{Change, Changes, Token};
pub use clock::Clock;
pub use collection::{Collection, Updated};
pub use database::{Connected, Database, UrlError};
pub use find::{FindOptions, Scan};
