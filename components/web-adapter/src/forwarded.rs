//! The client behind HTTP proxies that name it in `X-Forwarded-For`, as nginx, Caddy and Apache do. `Forwarded` (RFC 7239) is not read: the
//! proxies would have to remove it where a client sends one of its own, which they do not do by default.

use std::net::IpAddr;
use std::sync::Once;

use axum::http::{HeaderMap, HeaderName};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies that are believed.
#[derive(Debug)]
pub(crate) struct Forwarders {
    trusted: Vec<IpAddr>,
    warned: Once,
}

impl Forwarders {
    pub(crate) fn new(trusted: &[IpAddr]) -> Self {
        Self { trusted: trusted.iter().map(IpAddr::to_canonical).collect(), warned: Once::new() }
    }

    /// The client of a request that came from `peer`. Says once if a proxy on this machine is not trusted: its clients then have no limits,
    /// because this machine has none.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if peer.is_loopback() && headers.contains_key(X_FORWARDED_FOR) && !self.trusted.contains(&peer) {
            self.warned.call_once(|| {
                tracing::warn!(
                    "a proxy at {peer} forwards clients, which all count as this machine; add \"{peer}\" to web-adapter.trusted-proxies"
                );
            });
        }
        client(peer, headers, &self.trusted)
    }
}

/// The client of a request that came from `peer`. Each proxy appends the address it was asked from, so the list is read from its end: the
/// first address that is no trusted proxy is the client; what stands before it may be invented. From anybody else the header means nothing.
fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpAddr]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.contains(&address.to_canonical());
    let mut client = peer;
    for value in headers.get_all(X_FORWARDED_FOR).iter().rev() {
        for entry in value.to_str().unwrap_or_default().rsplit(',') {
            if !is_trusted(&client) {
                return client;
            }
            let Some(address) = address(entry.trim()) else { return client };
            client = address;
        }
    }
    client
}

/// `192.0.2.7`, `192.0.2.7:4711`, `2001:db8::7`, `[2001:db8::7]` or `[2001:db8::7]:4711`.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address =
        bare.parse().or_else(|_| text.parse().map(|with_port: std::net::SocketAddr| with_port.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, headers: &[&str]) -> String {
        let trusted = ["::ffff:127.0.0.1", "10.0.0.2", "fd00::2"].map(|it| it.parse().unwrap());
        let values = headers.iter().map(|value| (X_FORWARDED_FOR, value.parse().unwrap()));
        let mut map = HeaderMap::new();
        values.for_each(|(name, value)| {
            map.append(name, value);
        });
        Forwarders::new(&trusted).client(peer.parse().unwrap(), &map).to_string()
    }

    #[test]
    fn a_trusted_proxy_names_the_client() {
        assert_eq!(seen("127.0.0.1", &["192.0.2.7"]), "192.0.2.7");
        assert_eq!(seen("::ffff:127.0.0.1", &["2001:db8::7"]), "2001:db8::7");
        assert_eq!(seen("fd00::2", &["[2001:db8::7]:4711"]), "2001:db8::7");
        assert_eq!(seen("127.0.0.1", &["192.0.2.7:4711"]), "192.0.2.7");
        assert_eq!(seen("127.0.0.1", &["::ffff:192.0.2.7"]), "192.0.2.7");
    }

    #[test]
    fn what_a_client_invents_is_not_believed() {
        assert_eq!(seen("127.0.0.1", &["10.9.9.9, 192.0.2.7"]), "192.0.2.7");
        assert_eq!(seen("127.0.0.1", &["10.9.9.9", "192.0.2.7"]), "192.0.2.7");
        assert_eq!(seen("192.0.2.8", &["192.0.2.7"]), "192.0.2.8", "nobody trusts it");
        assert_eq!(seen("127.0.0.1", &["127.0.0.1, 192.0.2.7"]), "192.0.2.7");
    }

    #[test]
    fn several_trusted_proxies_are_passed() {
        assert_eq!(seen("127.0.0.1", &["192.0.2.7, 10.0.0.2"]), "192.0.2.7");
        assert_eq!(seen("127.0.0.1", &["192.0.2.7", "10.0.0.2", "fd00::2"]), "192.0.2.7");
    }

    #[test]
    fn what_is_no_address_leaves_the_last_known_one() {
        for value in ["", "unknown", "192.0.2", ",", "[", "[]", "192.0.2.7,unknown"] {
            assert_eq!(seen("127.0.0.1", &[value]), "127.0.0.1", "{value}");
        }
        assert_eq!(seen("127.0.0.1", &[]), "127.0.0.1");
        assert_eq!(seen("127.0.0.1", &["unknown, 10.0.0.2"]), "10.0.0.2");
    }
}
