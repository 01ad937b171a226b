//! How many files this process may have open.

use std::sync::OnceLock;

use rustix::process::{Resource, getrlimit};

/// The limit that this process was started with, if it has raised its own: the operator's programs get this one. Some go through all
/// numbers up to it, and `select(2)` cannot take more than 1024.
pub(super) static INHERITED: OnceLock<u64> = OnceLock::new();

/// Raises our own limit as far as we may: the launcher has a handful of files open for each component.
pub(super) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    if let Some(current) = limit.current.filter(|current| Some(*current) != limit.maximum) {
        let _ = INHERITED.set(current);
        kit::listen::raise_file_limit();
    }
}
