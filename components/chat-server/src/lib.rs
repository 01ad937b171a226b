//! chat-server: where people and programs are connected.

pub mod config;

pub use config::{Config, Upstream};

/// Serves both dialects until `context.shutdown`.
///
/// # Errors
/// When a value of the configuration cannot be, or the address is taken.
#[expect(clippy::unused_async, reason = "the signature others compile against")]
pub async fn run(config: Config, _upstream: Upstream, _context: kit::Context) -> Result<(), kit::Failure> {
    config.check()?;
    Err(kit::Failure::new(kit::Exit::Unavailable, "the chat server is not there yet"))
}
