//! Request checks against hostile web pages: by host name, and by the page that sent the request.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Which `Host` headers a server answers to: a page that a browser loaded elsewhere must not reach it under a name that was
/// rebound to this machine (DNS rebinding).
#[derive(Debug, Clone, Default)]
pub struct Hosts {
    names: Vec<String>,
}

impl Hosts {
    /// Loopback addresses, `localhost`, any other IP address, and these names. An IP address in `Host` cannot be rebound.
    #[must_use]
    pub fn with_names(names: Vec<String>) -> Self {
        Self { names: names.into_iter().map(|name| name.to_ascii_lowercase()).collect() }
    }

    /// Like [`Hosts::with_names`], with this machine's host name.
    #[must_use]
    pub fn of_this_machine() -> Self {
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self::with_names([name].into_iter().filter(|name| !name.is_empty()).collect())
    }

    /// Whether a request may be answered, by its `Host` header. A request without one is not from a browser.
    #[must_use]
    pub fn allow(&self, headers: &HeaderMap) -> bool {
        let Some(host) = headers.get(header::HOST) else { return true };
        let Ok(host) = host.to_str() else { return false };
        let name = host_name(host).to_ascii_lowercase();
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        name == "localhost" || bare.parse::<IpAddr>().is_ok() || self.names.contains(&name)
    }

    /// Middleware: answers 421 where the host is not allowed.
    ///
    /// # Errors
    /// The response to a rejected request.
    pub fn check(&self, request: Request) -> Result<Request, Box<Response>> {
        if self.allow(request.headers()) {
            return Ok(request);
        }
        let detail = "this server does not answer to that Host name\n";
        Err(Box::new((StatusCode::MISDIRECTED_REQUEST, detail).into_response()))
    }
}

/// The name without the port: `localhost:8080`, `[::1]:8080`.
fn host_name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if !name.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) && !host.ends_with(']') =>
        {
            name
        }
        _ => host,
    }
}

/// Whether a browser sent this request on behalf of a foreign page, whatever the method: a GET can have effects, and responses are private.
/// `Sec-Fetch-Site` shows this even without `Origin`, as with `<img src=…>` (Fetch Metadata, RFC 6454). Programs other than browsers send
/// neither header.
///
/// Following a link from another site counts as foreign, too; see [`is_navigation`].
#[must_use]
pub(super) fn is_foreign(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let site = text(HeaderName::from_static("sec-fetch-site"));
    let is_other_site = site.is_some_and(|site| site != "same-origin" && site != "none");
    let host = text(header::HOST).unwrap_or_default();
    let is_other_origin = text(header::ORIGIN).is_some_and(|origin| {
        let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        !authority.is_some_and(|authority| !host.is_empty() && authority.eq_ignore_ascii_case(host))
    });
    is_other_site || is_other_origin
}

/// Whether the request is a top-level navigation, such as a followed link. Pages without side effects may allow it from any site.
#[must_use]
pub(super) fn is_navigation(headers: &HeaderMap) -> bool {
    let is = |name: &'static str, value: &str| headers.get(name).is_some_and(|given| given == value);
    is("sec-fetch-mode", "navigate") && is("sec-fetch-dest", "document")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(host: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        Hosts::with_names(vec!["Chat.example".into()]).allow(&headers)
    }

    #[test]
    fn only_our_own_host_names_are_answered() {
        for good in
            ["localhost", "localhost:8080", "127.0.0.1:1", "[::1]:8080", "192.168.1.4", "chat.example:80"]
        {
            assert!(allowed(good), "{good}");
        }
        for bad in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80"] {
            assert!(!allowed(bad), "{bad}");
        }
    }

    #[test]
    fn pages_of_other_origins_are_told_by_what_browsers_say() {
        let headers = |given: &[(&'static str, &'static str)]| {
            let pairs = given.iter().chain(&[("host", "127.0.0.1:8001")]);
            pairs
                .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
                .collect::<HeaderMap>()
        };
        let ours = [("origin", "http://127.0.0.1:8001"), ("sec-fetch-site", "same-origin")];
        for fine in [&ours[..], &[], &[("sec-fetch-site", "none")], &[("origin", "https://127.0.0.1:8001")]] {
            assert!(!is_foreign(&headers(fine)), "{fine:?}");
        }
        for foreign in [
            ("origin", "http://evil.example"),
            ("origin", "null"),
            ("origin", "http://127.0.0.1:80"),
            ("origin", ""),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert!(is_foreign(&headers(&[foreign])), "{foreign:?}");
        }
        assert!(is_foreign(&[(header::ORIGIN, "http://".parse().unwrap())].into_iter().collect()));
    }
}
