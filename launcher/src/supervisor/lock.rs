//! Placeholder for the locks.
/// The lock.
pub(crate) const LAUNCHER_LOCK: &str = "launcher.lock";
