//! Which pages may open a WebSocket. Browsers send cookies and connect to loopback on behalf of any page; the `Origin` header identifies
//! the page (RFC 6455 §10.2).

use axum::http::{HeaderMap, header};

/// The configured origins, in addition to our own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origins {
    listed: Vec<String>,
}

/// A configured origin or host is invalid.
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
    /// Parses the configured list.
    pub(crate) fn parse(list: &[String]) -> Result<Self, OriginError> {
        let listed = list.iter().map(|text| parse_origin(text)).collect::<Result<_, _>>()?;
        Ok(Self { listed })
    }

    /// Whether a request may open a WebSocket. Without `Origin` it is not from a browser, and other programs can connect to the chat server
    /// anyway.
    pub(crate) fn allow(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        let Ok(origin) = origin.to_str() else { return false };
        let origin = origin.to_ascii_lowercase();
        self.is_own(&origin, headers) || self.listed.contains(&origin)
    }

    /// Our own page: its origin is the requested host. The scheme may differ, because a proxy may terminate TLS.
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
