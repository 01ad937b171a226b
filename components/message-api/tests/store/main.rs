//! The contract of a store, run on SQLite and on a real MongoDB, and what only one of them has.

mod bench;
mod contract;
mod mongo;
mod mongod;
mod sqlite;
