//! What an operator may set, and what the chat server is connected to.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use kit::{Exit, Failure};
use protocol::UserName;
use protocol::limits::SERVER_FRAME_BYTES;
use serde::{Deserialize, Serialize};

/// The part of the configuration that is this component's own: `[chat-server]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Where it takes connections, text and native. Port 0 asks the system for a free one.
    pub listen: SocketAddr,
    /// Whether the book dialect is served, on a port of its own.
    pub book: bool,
    /// Where it takes connections in the book dialect.
    pub book_listen: SocketAddr,
    /// Where it answers `/healthz`, `/readyz` and `/metrics` over HTTP; nowhere if not set.
    pub http_listen: Option<SocketAddr>,
    /// How long a connection whose client ends no message with a newline must be silent until what it sent counts as a whole message.
    /// What looks unfinished is waited for longer, and where a newline ended a message once, silence ends none.
    #[serde(with = "kit::duration")]
    pub quiet: Duration,
    /// How long somebody may take to say who they are. People type.
    #[serde(with = "kit::duration")]
    pub login_timeout: Duration,
    /// A peer that takes nothing for this long, or acknowledges nothing of what was sent, is closed.
    #[serde(with = "kit::duration")]
    pub write_timeout: Duration,
    /// Addresses of proxies that say for whom a connection is (PROXY protocol, version 1 or 2). From anywhere else such a header is not
    /// taken.
    pub proxies: Vec<IpAddr>,
    /// Most connections at once.
    pub max_connections: usize,
    /// Most connections from one address at once; loopback is exempt. 0 is no limit.
    pub max_sessions_per_address: usize,
    /// How many logins a minute one address may make for long, and at once; this machine has a limit that only a program that is stuck
    /// reaches. 0 is no limit.
    pub logins_per_minute: u32,
    /// How many messages a second one session may send for long; past that it is read more slowly. 0 is no limit.
    pub messages_per_second: u32,
    /// How many messages one session may send at once before the limit above counts.
    pub burst: u32,
    /// How many bytes may wait to be sent to one session; past that it is fed from the store at its own pace.
    pub outbox_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 5000).into(),
            book: true,
            book_listen: (Ipv4Addr::LOCALHOST, 5555).into(),
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
    /// Says which value cannot be, key first, so that the launcher can tell before anything starts.
    ///
    /// # Errors
    /// For the first such value.
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

/// What the chat server is connected to, and which names are not for people.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// The message API.
    pub api: SocketAddr,
    /// Names that only a service with the service token may take.
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
