//! What an operator may set, and where the messages are kept.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use protocol::native::Durability;
use serde::{Deserialize, Serialize};

/// The part of the configuration that is this component's own: `[message-api]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Where it serves HTTP. Port 0 asks the system for a free one.
    pub listen: SocketAddr,
    /// How many MiB one sender may have stored in a day; 0 is no limit.
    pub sender_mib_per_day: u64,
    /// Messages are refused while the disk has less left than this, or than a fiftieth of a small disk; 0 uses all of it.
    pub reserve_mib: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { listen: (Ipv4Addr::LOCALHOST, 8000).into(), sender_mib_per_day: 256, reserve_mib: 256 }
    }
}

/// Which store, and what "stored" means: `[store]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct StoreConfig {
    /// `sqlite:FILE`, where a relative file lies in the data directory, or `mongodb://…`.
    pub url: String,
    /// What has happened to a message when its sender is told that it is stored.
    pub durability: Durability,
    /// Messages older than this are deleted; zero keeps them for ever.
    #[serde(with = "kit::duration")]
    pub retention_age: Duration,
    /// How many messages of a conversation are kept; zero keeps all.
    pub retention_count: u64,
    /// Whether messages may go that their receiver has not seen.
    pub retention_unseen: bool,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            url: "sqlite:chat.db".to_owned(),
            durability: Durability::Fsync,
            retention_age: Duration::ZERO,
            retention_count: 0,
            retention_unseen: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_loopback_and_an_embedded_durable_store() {
        assert!(Config::default().listen.ip().is_loopback());
        assert_eq!(StoreConfig::default().url, "sqlite:chat.db");
        assert_eq!(StoreConfig::default().durability, Durability::Fsync);
    }
}
