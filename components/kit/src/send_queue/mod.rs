//! How much output of a connection its peer has not acknowledged, if the system reports it.

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
