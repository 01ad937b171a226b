//! What keeps the messages: one contract ([`Store`]), two implementations ([`sqlite`] and [`mongo`]), one suite of tests for both
//! (`tests/store/contract.rs`). [`terms`] are the words they speak, [`open`](mod@open) finds the one that the configuration names.
//!
//! A store answers only with what is durable. It knows nothing of HTTP, sessions or who may ask for what.

mod contract;
pub mod mongo;
pub mod open;
pub mod sqlite;
mod terms;

pub(crate) use contract::Heard;
pub use contract::{Cursors, Log, People, ServiceState, Store};
pub(crate) use open::directory;
pub use open::{OpenError, inspect, open, verify};
pub use terms::{
    Answer, Committed, DEVICES, Range, STATE_KEY_BYTES, STATE_KEYS, StatePut, StoreError, Tell, Unseen,
    silent,
};
pub(crate) use terms::{COMMITS, Unheard};
