//! How processes of P2P Chat talk to each other: clients of the message API and of the chat server.
//!
//! * [`api`]: a client of the message API, one request per call. [`feed`]: its stream of committed events.
//! * [`http`]: what clients of others' HTTP servers share.
//! * [`retry`]: repeats a request until it is answered.
//! * [`lan`]: a lan-peer on this machine, as the terminal uses it.
//! * [`native`]: a connection to the chat server that reconnects and sends no duplicates.
//! * [`probe`]: tests a server with a message.
//! * [`tls`]: the client's side of TLS; [`known_servers`]: whom it has met.
//! * [`mod@trace`]: the path of a message.
//! * [`service`]: a user that is a program and answers each message exactly once. [`allowance`]: hourly limits of its users.
//! * [`lines`]: lines of bounded length from a byte stream.

pub mod allowance;
pub mod api;
pub mod feed;
pub mod http;
pub mod known_servers;
pub mod lan;
pub mod lines;
pub mod native;
pub mod probe;
pub mod retry;
pub mod service;
#[cfg(feature = "testing")]
pub mod testing;
pub mod tls;
pub mod trace;

mod endpoint;
mod outbox;
mod progress;
mod url;

pub use allowance::Limits;
pub use api::{ApiClient, ApiError};
pub use endpoint::Endpoint;
pub use feed::{Feed, FeedError};
pub use lan::LanClient;
pub use native::{Incoming, NativeClient, NativeOptions, SendError};
pub use retry::retry;
pub use service::{Question, Service};
pub use tls::TlsClient;
pub use trace::trace;
