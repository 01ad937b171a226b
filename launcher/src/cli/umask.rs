//! Which files others may read.

use std::sync::OnceLock;

/// The umask that this process was started with. Ours is stricter; the operator's own programs get this one.
pub(super) static UMASK: OnceLock<u32> = OnceLock::new();
