//! What is looked at before anything starts: directories, ports, the store. Every problem is told, not only the first.

pub mod directories;
pub mod mongodb;
mod owner;
pub mod ports;
pub mod programs;
pub mod store;
