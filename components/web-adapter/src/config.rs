//! The configuration section `[web-adapter]`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use kit::{Exit, Failure};
use serde::{Deserialize, Serialize};

use crate::origins::{Origins, check_base_path, check_hosts};

/// This component's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The address of the page and `/ws`. Port 0 lets the system choose a port.
    pub listen: SocketAddr,
    /// The same address with TLS (`https`, `wss`); disabled by default.
    pub tls_listen: Option<SocketAddr>,
    /// Its certificate: the section `[tls]`, which all servers share.
    #[serde(skip)]
    pub tls: kit::tls::Config,
    /// Whether the ports without TLS may be open to other machines.
    pub insecure: bool,
    /// Additional chat servers that a page may name in its `login`.
    pub chat_servers: Vec<SocketAddr>,
    /// The path below which the page and `/ws` are (`/chat`), or nothing: behind a proxy that leaves the path as it is.
    pub base_path: String,
    /// Origins (`https://chat.example`, `capacitor://localhost`, `null`) of other pages that may open `/ws`. Our own page always may.
    pub allowed_origins: Vec<String>,
    /// Host names (`chat.example`) under which browsers reach us, beside `localhost` and IP addresses.
    pub allowed_hosts: Vec<String>,
    /// Addresses of proxies that send a PROXY header (version 1 or 2). From other addresses such a header is rejected.
    pub proxies: Vec<IpAddr>,
    /// Addresses of HTTP proxies whose `X-Forwarded-For` names the client. From other addresses it means nothing.
    pub trusted_proxies: Vec<IpAddr>,
    /// Logins per minute from one address, sustained and as a burst; loopback has a limit that only a broken program reaches. 0 disables
    /// the limit.
    pub logins_per_minute: u32,
}

impl Config {
    /// Validates the values, so that the launcher reports errors before anything starts. The message starts with the key.
    ///
    /// # Errors
    /// For the first invalid value.
    pub fn validate(&self) -> Result<(), Failure> {
        Origins::parse(&self.allowed_origins)
            .and_then(|_| check_hosts(&self.allowed_hosts))
            .and_then(|()| check_base_path(&self.base_path))
            .map_err(|error| Failure::new(Exit::Config, error))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 8080).into(),
            tls_listen: None,
            tls: kit::tls::Config::default(),
            insecure: false,
            chat_servers: Vec::new(),
            base_path: String::new(),
            allowed_origins: Vec::new(),
            allowed_hosts: Vec::new(),
            proxies: Vec::new(),
            trusted_proxies: Vec::new(),
            logins_per_minute: 300,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_loopback_and_nobody_else() {
        let config = Config::default();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
        let lists = (config.chat_servers.len(), config.allowed_origins.len(), config.allowed_hosts.len());
        assert_eq!(lists, (0, 0, 0));
        assert!(config.proxies.is_empty() && config.trusted_proxies.is_empty());
    }

    #[test]
    fn keys_are_kebab_case_and_unknown_ones_are_errors() {
        let read = |text: &str| serde_json::from_str::<Config>(text);
        let config = read(r#"{"chat-servers":["10.0.0.1:5000"],"allowed-hosts":["chat.example"]}"#).unwrap();
        assert_eq!(config.chat_servers, ["10.0.0.1:5000".parse().unwrap()]);
        assert!(read(r#"{"allowed_hosts":[]}"#).is_err());
    }
}
