//! How long a server's tasks occupied a worker thread, according to its metrics.

use std::time::Duration;

/// The maximum time. The measurement spans up to sixteen polls (`kit::stall`), which take several times as long in a debug build; the
/// faults that this found there occupied a worker for 172 ms and more.
pub const MOST: Duration = Duration::from_millis(if cfg!(debug_assertions) { 160 } else { 100 });

/// The worst case of the last minute (`runtime_stall_seconds`), in a server's answer to `GET /metrics`.
pub fn worst(metrics: &str) -> Duration {
    let worst = metrics.lines().find_map(|line| line.split_once("_runtime_stall_seconds ")?.1.parse().ok());
    Duration::from_secs_f64(worst.unwrap_or_else(|| panic!("no stall in {metrics}")))
}
