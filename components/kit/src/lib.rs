//! What all processes of P2P Chat share: startup, readiness, logging, HTTP and shutdown.
//!
//! Independent of chat. [`context`] is a component's environment, [`exit`] has the exit codes.

pub mod allowance;
pub mod allowances;
pub mod backoff;
pub mod context;
pub mod durable;
pub mod duration;
pub mod exit;
pub mod failure;
pub mod files;
pub mod http;
pub mod lifeline;
pub mod linger;
pub mod listen;
pub mod log;
pub mod logins;
pub mod metrics;
pub mod notify;
pub mod places;
pub mod proxy;
pub mod secret;
pub mod send_queue;
pub mod shutdown;
pub mod stall;
pub mod stream;
pub mod tls;
pub mod unfinished;

pub use context::{Context, Running};
pub use exit::Exit;
pub use failure::Failure;
pub use notify::Notifier;
pub use secret::Secret;
