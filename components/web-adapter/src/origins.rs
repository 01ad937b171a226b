//! Which pages may open a WebSocket. A browser sends cookies, and reaches loopback, on behalf of any page that asks it to; the
//! `Origin` header is how it tells whose wish it was (RFC 6455 §10.2).

use axum::http::{HeaderMap, header};

/// The origins an operator listed, beside the one we serve ourselves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origins {
    listed: Vec<String>,
}

/// A configured origin or host is not one.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OriginError {
    #[error(
        "web-adapter.allowed-origins: '{0}' is not an origin; write it as https://chat.example or http://10.0.0.5:3000"
    )]
    Origin(String),
    #[error(
        "web-adapter.allowed-hosts: '{0}' is not a host name; write it as chat.example, without scheme and port"
    )]
    Host(String),
}

impl Origins {
    /// Reads the configured list.
    pub(crate) fn parse(list: &[String]) -> Result<Self, OriginError> {
        let listed = list.iter().map(|text| parse_origin(text)).collect::<Result<_, _>>()?;
        Ok(Self { listed })
    }

    /// Whether a WebSocket may be opened, by the request's headers. No `Origin` at all means that it is no browser, and other
    /// programs may connect to the chat server anyway.
    pub(crate) fn allow(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        let Ok(origin) = origin.to_str() else { return false };
        let origin = origin.to_ascii_lowercase();
        self.is_own(&origin, headers) || self.listed.contains(&origin)
    }

    /// Our own page: its origin is the host that it asks now. The scheme may differ, for TLS may end at a proxy before us.
    fn is_own(&self, origin: &str, headers: &HeaderMap) -> bool {
        let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        matches!((authority, host), (Some(authority), Some(host)) if authority == host.to_ascii_lowercase())
    }
}

fn parse_origin(text: &str) -> Result<String, OriginError> {
    let origin = text.trim().trim_end_matches('/').to_ascii_lowercase();
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    match authority {
        Some(authority) if is_authority(authority) => Ok(origin),
        Some(_) | None => Err(OriginError::Origin(text.to_owned())),
    }
}

fn is_authority(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b))
}

/// Checks the configured host names.
pub(crate) fn check_hosts(list: &[String]) -> Result<(), OriginError> {
    let is_host = |text: &&String| !is_authority(text) || text.contains(':');
    list.iter().find(is_host).map_or(Ok(()), |text| Err(OriginError::Host(text.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(listed: &[&str], origin: Option<&str>, host: &str) -> bool {
        let listed: Vec<String> = listed.iter().map(|text| (*text).to_owned()).collect();
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        Origins::parse(&listed).unwrap().allow(&headers)
    }

    #[test]
    fn our_own_page_and_programs_that_are_no_browser_may_connect() {
        assert!(allowed(&[], Some("http://127.0.0.1:8080"), "127.0.0.1:8080"));
        assert!(allowed(&[], Some("https://Chat.example"), "chat.example"));
        assert!(allowed(&[], None, "127.0.0.1:8080"));
    }

    #[test]
    fn other_pages_may_not_unless_they_are_listed() {
        for origin in [
            "http://evil.example",
            "null",
            "http://127.0.0.1:8081",
            "file://127.0.0.1:8080",
            "127.0.0.1:8080",
        ] {
            assert!(!allowed(&["https://good.example"], Some(origin), "127.0.0.1:8080"), "{origin}");
        }
        assert!(allowed(&["https://Good.example/"], Some("https://good.example"), "127.0.0.1:8080"));
        assert!(!allowed(&["https://good.example"], Some("http://good.example"), "127.0.0.1:8080"));
    }

    #[test]
    fn what_is_no_origin_or_host_is_named() {
        for bad in ["*", "good.example", "https://", "https://good.example/path", "ftp://x"] {
            assert_eq!(Origins::parse(&[bad.to_owned()]).unwrap_err(), OriginError::Origin(bad.to_owned()));
        }
        assert_eq!(check_hosts(&["chat.example".into()]), Ok(()));
        for bad in ["", "chat.example:80", "http://chat.example", "a b"] {
            assert_eq!(check_hosts(&[bad.to_owned()]), Err(OriginError::Host(bad.to_owned())));
        }
    }
}
