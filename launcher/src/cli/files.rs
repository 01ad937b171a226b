//! The limit of open files of this process and of the programs that it starts.

use std::sync::OnceLock;

use rustix::process::{Resource, getrlimit};

/// The limit with which this process was started, if it raised its own: other programs get this one. Some iterate over all numbers up to
/// the limit, and `select(2)` supports only 1024.
pub(super) static INHERITED: OnceLock<u64> = OnceLock::new();

/// Raises our own limit to the maximum: the launcher has a few files open per component.
pub(super) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    if let Some(current) = limit.current.filter(|current| Some(*current) != limit.maximum) {
        let _ = INHERITED.set(current);
        kit::listen::raise_file_limit();
    }
}
