//! The contract of a store, run on SQLite and on a real MongoDB, and tests that are specific to one of them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod backup;
mod bench;
mod contract;
mod disk;
mod elections;
mod health;
mod legacy;
mod lost;
mod migrate;
mod migration;
mod mongo;
mod mongo_migration;
mod mongo_pages;
mod mongod;
mod retention;
mod sqlite;
