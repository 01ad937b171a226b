//! The control socket: `run/control.sock` in the data directory, one JSON request on a line, one JSON response on a line.
//!
//! The directory has mode 0700 and the socket 0600: whoever can open it is the operator. There is no other authentication.

mod client;
mod request;
mod server;

pub use client::{ControlError, request, wait_until_gone};
pub use request::{MAX_REQUEST, ReloadSummary, Request, Response};
pub(crate) use server::{ControlQuery, Server};

pub use super::run_dir::run_dir;
