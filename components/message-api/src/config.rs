//! The configuration of the message API and of the store.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use protocol::native::Durability;
use serde::{Deserialize, Serialize};

/// The section `[message-api]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Address of the HTTP server. Port 0 asks the system for a free one.
    pub listen: SocketAddr,
    /// The same address with TLS (`https`); disabled by default.
    pub tls_listen: Option<SocketAddr>,
    /// Its certificate: the section `[tls]`, which all servers share.
    #[serde(skip)]
    pub tls: kit::tls::Config,
    /// Whether the ports without TLS may be open to other machines.
    pub insecure: bool,
    /// MiB that one sender may store per day; 0 disables the limit.
    pub sender_mib_per_day: u64,
    /// Messages are rejected while the disk has less free space than this, or than a fiftieth on a small disk; 0 uses all of it.
    pub reserve_mib: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 8000).into(),
            tls_listen: None,
            tls: kit::tls::Config::default(),
            insecure: false,
            sender_mib_per_day: 256,
            reserve_mib: 256,
        }
    }
}

/// The section `[store]`: which store, and what "stored" means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct StoreConfig {
    /// `sqlite:FILE`, where a relative file is in the data directory, or `mongodb://…`.
    pub url: String,
    /// What an acknowledgement guarantees.
    pub durability: Durability,
    /// Messages older than this are deleted; zero keeps them forever.
    #[serde(with = "kit::duration")]
    pub retention_age: Duration,
    /// The number of messages kept per conversation; zero keeps all.
    pub retention_count: u64,
    /// Whether messages expire that their recipient has not read.
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
