//! openai-bot: a service that is a user like any other, and answers questions with a language model.

use std::net::SocketAddr;

use kit::Secret;

pub mod config;

pub use config::Config;

/// The servers it talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upstream {
    /// The chat server.
    pub chat: SocketAddr,
    /// The message API, where each user's personality is kept.
    pub api: SocketAddr,
}

/// What the model's endpoint wants to see.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The key. It goes to the configured endpoint and nowhere else.
    pub api_key: Secret,
}

/// Works until `context.shutdown`.
///
/// # Errors
/// When the configuration is wrong, or the chat server will not have a service of this name.
#[expect(clippy::unused_async, reason = "the signature others compile against")]
pub async fn run(
    config: Config,
    _upstream: Upstream,
    _credentials: Credentials,
    _context: kit::Context,
) -> Result<(), kit::Failure> {
    config.check().map(drop)
}
