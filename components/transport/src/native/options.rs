//! Options of a native client: user, server, and behaviour of the connection.

use std::collections::BTreeMap;
use std::time::Duration;

use kit::Secret;
use protocol::native::Device;
use protocol::{ConversationId, UserName};
use uuid::Uuid;

use crate::endpoint::Endpoint;
use crate::tls::TlsClient;

/// Time limit for closing a connection in good order.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Options of a native client: user, server, and behaviour of the connection.
#[derive(Debug, Clone)]
pub struct NativeOptions {
    /// The chat server.
    pub server: Endpoint,
    /// Encrypts the connection, if the server's port speaks TLS.
    pub tls: Option<TlsClient>,
    /// The user.
    pub name: UserName,
    /// The service token, or the token of an earlier welcome.
    pub token: Option<Secret>,
    /// The user's device.
    pub device: Option<Device>,
    /// The last `seq` that this device has, by conversation.
    pub cursors: BTreeMap<ConversationId, u64>,
    /// The log to which those cursors belong, if known.
    pub log: Option<Uuid>,
    /// Whether to receive `presence` frames.
    pub presence: bool,
    /// Whether to receive the list of conversations.
    pub conversations: bool,
    /// Longest delay between two attempts to connect.
    pub max_backoff: Duration,
}

impl NativeOptions {
    /// Options of a service: no presence, no list, reconnects within a second or two.
    #[must_use]
    pub fn service(server: impl Into<Endpoint>, name: UserName, token: Secret) -> Self {
        Self { token: Some(token), presence: false, conversations: false, ..Self::user(server, name) }
    }

    /// Options of an interactive user.
    #[must_use]
    pub fn user(server: impl Into<Endpoint>, name: UserName) -> Self {
        Self {
            server: server.into(),
            tls: None,
            name,
            token: None,
            device: None,
            cursors: BTreeMap::new(),
            log: None,
            presence: true,
            conversations: true,
            max_backoff: Duration::from_secs(2),
        }
    }
}
