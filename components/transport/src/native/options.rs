//! Who connects, where to, and how the connection behaves.

use std::collections::BTreeMap;
use std::time::Duration;

use kit::Secret;
use protocol::native::Device;
use protocol::{ConversationId, UserName};
use uuid::Uuid;

use crate::endpoint::Endpoint;

/// How long a connection may take to end in good order.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Who connects, where to, and how the connection behaves.
#[derive(Debug, Clone)]
pub struct NativeOptions {
    /// The chat server.
    pub server: Endpoint,
    /// The user.
    pub name: UserName,
    /// A service's token, or that of an earlier welcome.
    pub token: Option<Secret>,
    /// Which device this is.
    pub device: Option<Device>,
    /// What this device holds already.
    pub cursors: BTreeMap<ConversationId, u64>,
    /// The log of the server to which those cursors belong, where that is known.
    pub log: Option<Uuid>,
    /// Whether `presence` frames are wanted.
    pub presence: bool,
    /// Whether the list of conversations is wanted.
    pub conversations: bool,
    /// The longest wait between two attempts to connect.
    pub max_backoff: Duration,
}

impl NativeOptions {
    /// For a service: no presence, no list, back within a second or two of its server.
    #[must_use]
    pub fn service(server: impl Into<Endpoint>, name: UserName, token: Secret) -> Self {
        Self { token: Some(token), presence: false, conversations: false, ..Self::user(server, name) }
    }

    /// For a person.
    #[must_use]
    pub fn user(server: impl Into<Endpoint>, name: UserName) -> Self {
        Self {
            server: server.into(),
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
