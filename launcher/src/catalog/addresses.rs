//! Where clients on this machine find our servers.

use std::net::SocketAddr;

use crate::config::Settings;

/// Where a client on this machine finds the chat.
#[must_use]
pub fn chat_address(settings: &Settings) -> SocketAddr {
    kit::listen::reachable(settings.chat_server.listen)
}

/// Where the message API is.
pub(super) fn api(settings: &Settings) -> SocketAddr {
    kit::listen::reachable(settings.message_api.listen)
}
