//! The chat servers that a login may name: our own and the configured ones. A page must never make us connect anywhere else.

use std::net::{IpAddr, SocketAddr};

use protocol::sanitise;
use protocol::web::Port;

/// The chat servers, our own first.
#[derive(Debug, Clone)]
pub(crate) struct ChatServers {
    all: Vec<SocketAddr>,
}

/// A page named a server that is not listed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("The chat server {0} is not one that this page may use. Leave the server out to use the usual one.")]
pub(crate) struct NotListed(String);

impl ChatServers {
    pub(crate) fn new(own: SocketAddr, listed: &[SocketAddr]) -> Self {
        let own = kit::listen::reachable(own);
        Self { all: std::iter::once(own).chain(listed.iter().copied()).collect() }
    }

    /// The default server.
    pub(crate) fn own(&self) -> SocketAddr {
        self.all[0]
    }

    /// The server that a login names. A missing host or port is completed from the list; no DNS lookups.
    pub(crate) fn find(&self, host: Option<&str>, port: Option<&Port>) -> Result<SocketAddr, NotListed> {
        let host = host.map(str::trim).filter(|host| !host.is_empty());
        let matches = |server: &&SocketAddr| {
            host.is_none_or(|host| names(host, server.ip()))
                && port.is_none_or(|port| port.0 == server.port())
        };
        self.all.iter().find(matches).copied().ok_or_else(|| NotListed(describe(host, port)))
    }
}

fn names(host: &str, ip: IpAddr) -> bool {
    if host.eq_ignore_ascii_case("localhost") {
        return ip.is_loopback();
    }
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse() == Ok(ip)
}

/// The named server for an error message, truncated and sanitised.
fn describe(host: Option<&str>, port: Option<&Port>) -> String {
    let host = sanitise::short_line(host.unwrap_or("(the usual host)"), 64);
    port.map_or_else(|| host.to_string(), |port| format!("{host}:{}", port.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(host: Option<&str>, port: Option<u16>) -> Option<String> {
        let own = "0.0.0.0:5000".parse().unwrap();
        let listed = ["10.0.0.7:5000".parse().unwrap(), "[::1]:6000".parse().unwrap()];
        let server = ChatServers::new(own, &listed).find(host, port.map(Port).as_ref());
        server.ok().map(|server| server.to_string())
    }

    #[test]
    fn our_own_server_goes_by_every_name_of_loopback_and_by_none() {
        for (host, port) in [
            (None, None),
            (Some("127.0.0.1"), Some(5000)),
            (Some("LocalHost"), Some(5000)),
            (Some(" "), Some(5000)),
            (Some("localhost"), None),
            (None, Some(5000)),
        ] {
            assert_eq!(find(host, port).as_deref(), Some("127.0.0.1:5000"), "{host:?} {port:?}");
        }
    }

    #[test]
    fn listed_servers_may_be_named_and_nothing_else() {
        assert_eq!(find(Some("10.0.0.7"), Some(5000)).as_deref(), Some("10.0.0.7:5000"));
        assert_eq!(find(Some("[::1]"), Some(6000)).as_deref(), Some("[::1]:6000"));
        assert_eq!(find(Some("localhost"), Some(6000)).as_deref(), Some("[::1]:6000"));
        for (host, port) in [
            (Some("169.254.169.254"), Some(80)),
            (Some("evil.example"), Some(5000)),
            (Some("127.0.0.1"), Some(22)),
            (Some("10.0.0.7"), Some(5001)),
            (Some("127.1"), Some(5000)),
            (None, Some(27017)),
        ] {
            assert_eq!(find(host, port), None, "{host:?} {port:?}");
        }
    }

    #[test]
    fn a_refusal_names_the_server_without_what_could_disturb() {
        assert_eq!(describe(Some("ev\u{1b}il"), Some(&Port(1))), "evil:1");
        assert!(describe(Some(&"x".repeat(9999)), None).len() < 100);
    }
}
