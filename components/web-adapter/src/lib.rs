//! web-adapter: serves the page, and bridges each browser's WebSocket to the chat server.

pub mod config;

use std::net::SocketAddr;

pub use config::Config;

/// Serves the page and `/ws` until `context.shutdown`; `chat` is the chat server that a login goes to.
///
/// # Errors
/// When the address is taken, or a configured origin or host is not one.
#[expect(clippy::unused_async, reason = "the signature others compile against")]
pub async fn run(_config: Config, _chat: SocketAddr, _context: kit::Context) -> Result<(), kit::Failure> {
    Err(kit::Failure::new(kit::Exit::Unavailable, "the web adapter is not there yet"))
}
