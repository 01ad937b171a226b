//! The stores: one trait ([`Store`]), two implementations ([`sqlite`] and [`mongo`]), one test suite for both (`tests/store/contract.rs`).
//! [`types`] has their arguments and results; [`open`](mod@open) opens the configured one.
//!
//! A store returns only what is durable. It knows nothing of HTTP, sessions or access rights.

mod contract;
pub mod mongo;
pub mod open;
pub mod sqlite;
mod types;

pub(crate) use contract::Instrumented;
pub use contract::{Cursors, Log, ServiceState, Store, UserRegistry};
pub(crate) use open::directory;
pub use open::{OpenError, inspect, open, verify};
pub use types::{
    Answer, Committed, DEVICES, News, OwnRun, Range, ReportProgress, STATE_KEY_BYTES, STATE_KEYS, StatePut,
    StoreError, Unseen, no_progress,
};
pub(crate) use types::{COMMITS, NoSubscriber};
