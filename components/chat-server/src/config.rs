//! The configuration of the chat server, and its connection to the message API.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use kit::{Exit, Failure};
use protocol::UserName;
use protocol::limits::SERVER_FRAME_BYTES;
use serde::{Deserialize, Serialize};

/// The section `[chat-server]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Address of the main port, for the text and native dialects. Port 0 asks the system for a free one.
    pub listen: SocketAddr,
    /// Whether to serve the book dialect, on a port of its own.
    pub book: bool,
    /// Address of the book dialect's port.
    pub book_listen: SocketAddr,
    /// Address of the main port with TLS; disabled by default.
    pub tls_listen: Option<SocketAddr>,
    /// Address of the book dialect's port with TLS; disabled by default.
    pub tls_book_listen: Option<SocketAddr>,
    /// The certificate of both: the section `[tls]`, which all servers share.
    #[serde(skip)]
    pub tls: kit::tls::Config,
    /// Whether the ports without TLS may be open to other machines.
    pub insecure: bool,
    /// Address of `/healthz`, `/readyz` and `/metrics` over HTTP; disabled by default.
    pub http_listen: Option<SocketAddr>,
    /// How long a connection whose client ends no message with a newline must be silent before its input counts as a complete message.
    /// Incomplete-looking input is given longer, and once a newline has ended a message, silence ends none.
    #[serde(with = "kit::duration")]
    pub quiet: Duration,
    /// Time limit for a client to identify itself; people type.
    #[serde(with = "kit::duration")]
    pub login_timeout: Duration,
    /// A peer that reads nothing or acknowledges nothing for this long is disconnected.
    #[serde(with = "kit::duration")]
    pub write_timeout: Duration,
    /// Addresses of proxies that send a PROXY protocol header (version 1 or 2). Such a header from any other address is not accepted.
    pub proxies: Vec<IpAddr>,
    /// The maximum number of connections.
    pub max_connections: usize,
    /// The maximum number of connections from one address; loopback is exempt. 0 disables the limit.
    pub max_sessions_per_address: usize,
    /// Logins per minute from one address, sustained and as a burst. This machine has a limit that only a program in a loop reaches. 0
    /// disables the limit.
    pub logins_per_minute: u32,
    /// Messages per second that one session may send, sustained; beyond that it is throttled. 0 disables the limit.
    pub messages_per_second: u32,
    /// Messages that one session may send at once before the rate limit applies.
    pub burst: u32,
    /// Bytes that may be queued for one session; beyond that it is fed from the store at its own pace.
    pub outbox_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 5000).into(),
            book: true,
            book_listen: (Ipv4Addr::LOCALHOST, 5555).into(),
            tls_listen: None,
            tls_book_listen: None,
            tls: kit::tls::Config::default(),
            insecure: false,
            http_listen: None,
            quiet: Duration::from_millis(100),
            login_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(30),
            proxies: Vec::new(),
            max_connections: 10_000,
            max_sessions_per_address: 64,
            logins_per_minute: 300,
            messages_per_second: 20,
            burst: 100,
            outbox_bytes: SERVER_FRAME_BYTES,
        }
    }
}

impl Config {
    /// Reports the first invalid value, key first, so that the launcher can report it before anything starts.
    ///
    /// # Errors
    /// For the first invalid value.
    pub fn validate(&self) -> Result<(), Failure> {
        let problem = if !(Duration::from_millis(1)..=Duration::from_secs(10)).contains(&self.quiet) {
            "chat-server.quiet must be from 1ms to 10s"
        } else if self.login_timeout < Duration::from_secs(1) {
            "chat-server.login-timeout must be at least 1s"
        } else if self.write_timeout < Duration::from_secs(1) {
            "chat-server.write-timeout must be at least 1s"
        } else if self.max_connections == 0 {
            "chat-server.max-connections must be at least 1"
        } else if self.messages_per_second > 0 && self.burst == 0 {
            "chat-server.burst must be at least 1 where messages-per-second is a limit"
        } else if self.outbox_bytes < 64 * 1024 {
            "chat-server.outbox-bytes must be at least 65536, the longest single message and more"
        } else {
            return Ok(());
        };
        Err(Failure::new(Exit::Config, problem))
    }
}

/// The message API's address, and the names reserved for services.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// Address of the message API.
    pub api: SocketAddr,
    /// Names that require the service token.
    pub reserved: Vec<UserName>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_loopback_and_pass_their_own_check() {
        let config = Config::default();
        assert!(config.listen.ip().is_loopback());
        config.validate().unwrap();
    }

    #[test]
    fn a_value_that_cannot_be_is_a_config_error() {
        let wrong = Config { quiet: Duration::ZERO, ..Config::default() };
        let failure = wrong.validate().unwrap_err();
        assert_eq!(failure.exit(), Exit::Config);
        assert!(failure.to_string().contains("chat-server.quiet"));
    }
}
