//! The endpoints over real connections, to the byte where existing programs depend on it.

mod access;
mod document;
mod feed;
mod messages;
mod native;
mod server;
