//! The addresses at which clients on this machine reach our servers.

use std::net::SocketAddr;

use crate::config::Settings;

/// The address of the chat server for clients on this machine.
#[must_use]
pub fn chat_address(settings: &Settings) -> SocketAddr {
    kit::listen::reachable(settings.chat_server.listen)
}

/// The address of the message API.
pub(super) fn api(settings: &Settings) -> SocketAddr {
    kit::listen::reachable(settings.message_api.listen)
}
