//! Checks the certificate of ports with TLS: without it their servers could not start.

use kit::tls::pair;

use crate::catalog;
use crate::config::Loaded;

/// Why the configured pair cannot be used, if a port needs it.
#[must_use]
pub fn check(loaded: &Loaded) -> Option<String> {
    let is_needed = catalog::used_listeners(loaded).iter().any(|(key, _)| key.contains(".tls-"));
    let files = loaded.settings.tls.files(&loaded.directories.data).filter(|_| is_needed)?;
    let error = pair::load(&files).err()?;
    Some(format!("tls.certificate: {}", kit::failure::chain(&error)))
}
