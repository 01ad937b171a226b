//! The umask of this process and of the programs that it starts.

use std::sync::OnceLock;

/// The umask with which this process was started. Ours is stricter; other programs get this one.
pub(super) static UMASK: OnceLock<u32> = OnceLock::new();
