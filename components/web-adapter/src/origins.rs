//! Which pages may open a WebSocket. Browsers send cookies and connect to loopback on behalf of any page; the `Origin` header identifies
//! the page (RFC 6455 §10.2).

use axum::http::{HeaderMap, HeaderValue, header};

/// Why a page may not open a WebSocket, in words that the operator can act on.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the page's origin {origin} is not that of the requested host {host}. If a proxy changes the host, let it pass the browser's with its port \
     (nginx: proxy_set_header Host $http_host); if this is another page, add \"{origin}\" to web-adapter.allowed-origins"
)]
pub(crate) struct ForeignOrigin {
    origin: String,
    host: String,
}

/// Longest part of a browser's header that is repeated.
const REPEATED_CHARS: usize = 200;

/// The configured origins, in addition to our own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origins {
    listed: Vec<String>,
}

/// A configured origin or host is invalid.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OriginError {
    #[error(
        "web-adapter.allowed-origins: '{0}' is not an origin; write it as https://chat.example, http://10.0.0.5:3000, the origin of an app (capacitor://localhost) or null"
    )]
    Origin(String),
    #[error(
        "web-adapter.allowed-hosts: '{0}' is not a host name; write it as chat.example, without scheme and port"
    )]
    Host(String),
    #[error(
        "web-adapter.base-path: '{0}' is not a path; write it as /chat, of letters, digits, '-', '_', '.' and '/', without one at the end"
    )]
    BasePath(String),
}

impl Origins {
    /// Parses the configured list.
    pub(crate) fn parse(list: &[String]) -> Result<Self, OriginError> {
        let listed = list.iter().map(|text| parse_origin(text)).collect::<Result<_, _>>()?;
        Ok(Self { listed })
    }

    /// Whether a request may open a WebSocket. Without `Origin` it is not from a browser, and other programs can connect to the chat server
    /// anyway.
    ///
    /// # Errors
    /// When it is from a page of another origin that is not listed.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), ForeignOrigin> {
        let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
        let known = origin.to_str().map(str::to_ascii_lowercase).unwrap_or_default();
        if self.is_own(&known, headers) || self.listed.contains(&known) {
            return Ok(());
        }
        let repeated = |value: Option<&HeaderValue>| {
            let text =
                String::from_utf8_lossy(value.map_or(&b"(none)"[..], HeaderValue::as_bytes)).into_owned();
            text.chars().filter(|c| c.is_ascii_graphic()).take(REPEATED_CHARS).collect()
        };
        let host = headers.get(header::HOST);
        Err(ForeignOrigin { origin: repeated(Some(origin)), host: repeated(host) })
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
    // What files and sandboxed frames send (RFC 6454, 7.3).
    if origin == "null" {
        return Ok(origin);
    }
    match origin.split_once("://") {
        Some((scheme, authority)) if is_scheme(scheme) && is_authority(authority) => Ok(origin),
        Some(_) | None => Err(OriginError::Origin(text.to_owned())),
    }
}

/// Schemes of apps that show a page of their own are theirs to name.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

/// Checks the configured path.
pub(crate) fn check_base_path(path: &str) -> Result<(), OriginError> {
    let is_part = |part: &str| {
        !matches!(part, "" | "." | "..")
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    let is_path = path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_part));
    if path.is_empty() || is_path { Ok(()) } else { Err(OriginError::BasePath(path.to_owned())) }
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
        Origins::parse(&listed).unwrap().check(&headers).is_ok()
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
        for app in ["null", "capacitor://localhost", "chrome-extension://abcdef"] {
            assert!(allowed(&[app], Some(app), "127.0.0.1:8080"), "{app}");
        }
    }

    #[test]
    fn a_refusal_names_the_origin_the_host_and_the_key() {
        let headers = [(header::ORIGIN, "http://chat.example:8443"), (header::HOST, "chat.example")];
        let headers = headers.into_iter().map(|(name, value)| (name, value.parse().unwrap())).collect();
        let refusal = Origins::default().check(&headers).unwrap_err().to_string();
        for part in ["http://chat.example:8443", " chat.example.", "allowed-origins", "$http_host"] {
            assert!(refusal.contains(part), "{part} is not in {refusal}");
        }
    }

    #[test]
    fn a_base_path_is_a_path_or_nothing() {
        for good in ["", "/chat", "/a/b-c_d.e"] {
            assert_eq!(check_base_path(good), Ok(()), "{good}");
        }
        for bad in ["chat", "/", "/chat/", "//", "/../x", "/{a}", "/a b", "/*"] {
            assert_eq!(check_base_path(bad), Err(OriginError::BasePath(bad.to_owned())), "{bad}");
        }
    }

    #[test]
    fn what_is_no_origin_or_host_is_named() {
        for bad in ["*", "good.example", "https://", "https://good.example/path", "1x://y"] {
            assert_eq!(Origins::parse(&[bad.to_owned()]).unwrap_err(), OriginError::Origin(bad.to_owned()));
        }
        assert_eq!(check_hosts(&["chat.example".into()]), Ok(()));
        for bad in ["", "chat.example:80", "http://chat.example", "a b"] {
            assert_eq!(check_hosts(&[bad.to_owned()]), Err(OriginError::Host(bad.to_owned())));
        }
    }
}
