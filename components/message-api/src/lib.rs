//! message-api: the one process that writes the store, and tells everybody else what was written.

pub mod config;

pub use config::{Config, StoreConfig};

/// Serves the message API until `context.shutdown`.
///
/// # Errors
/// When the store cannot be opened or the address is taken.
#[expect(clippy::unused_async, reason = "the signature others compile against")]
pub async fn run(_config: Config, _store: StoreConfig, _context: kit::Context) -> Result<(), kit::Failure> {
    Err(kit::Failure::new(kit::Exit::Unavailable, "the message API is not there yet"))
}
