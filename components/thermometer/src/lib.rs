//! thermometer: a service that is a user like any other, and tells the temperature to whoever asks or subscribes.

use std::net::SocketAddr;

pub mod config;

pub use config::Config;

/// The servers it talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upstream {
    /// The chat server.
    pub chat: SocketAddr,
    /// The message API, where the subscriptions are kept.
    pub api: SocketAddr,
}

/// Works until `context.shutdown`.
///
/// # Errors
/// When the configuration is wrong, or the chat server will not have a service of this name.
#[expect(clippy::unused_async, reason = "the signature others compile against")]
pub async fn run(config: Config, _upstream: Upstream, _context: kit::Context) -> Result<(), kit::Failure> {
    config.check().map(drop)
}
