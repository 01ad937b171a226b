//! Checks before anything starts: directories, ports, the certificate, the store. All problems are reported, not only the first.

pub mod certificate;
pub mod directories;
pub mod mongodb;
mod owner;
pub mod ports;
pub mod programs;
pub mod store;
