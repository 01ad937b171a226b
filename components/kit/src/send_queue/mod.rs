//! How much of what was written to a connection its peer has not acknowledged, where the system tells.

mod answer;
#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod linux;

pub use answer::{Link, Pulse, Unacknowledged};
#[cfg(not(target_os = "linux"))]
pub use elsewhere::SendQueue;
#[cfg(target_os = "linux")]
pub use linux::SendQueue;
