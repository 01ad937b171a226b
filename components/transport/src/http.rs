//! What clients of HTTP servers share: of our own, and of others, such as a model's endpoint or a webhook.

use std::error::Error;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::{Client, ClientBuilder, Url};

/// A client of our own servers, which are reached without TLS: it trusts no certificate, and does not read those of the system.
///
/// # Panics
/// When no TLS implementation was installed; see [`kit::context::install_tls`].
#[must_use]
pub fn unencrypted(configure: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Client {
    let builder = Client::builder().no_proxy().tls_certs_only([]);
    configure(builder).build().expect("a client without files or proxies can be built once TLS is installed")
}

/// A client that trusts the certificate authorities of the system. Where there are none, as in a small container, its connections with TLS
/// fail, and others work.
///
/// # Panics
/// When no TLS implementation was installed; see [`kit::context::install_tls`].
#[must_use]
pub fn trusting_the_system(configure: impl Fn(ClientBuilder) -> ClientBuilder) -> Client {
    let built = configure(Client::builder()).build();
    built
        .or_else(|_| configure(Client::builder().tls_certs_only([])).build())
        .expect("a client that trusts no certificate can be built once TLS is installed")
}

/// Whether the server is on this machine, where no proxy is used.
#[must_use]
pub fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Why there is no response: the innermost error, because the others only repeat the URL. `limit` is the time limit of the request.
#[must_use]
pub fn cause(error: &reqwest::Error, limit: Duration) -> String {
    if error.is_timeout() {
        return format!("no answer within {} s", limit.as_secs());
    }
    let mut innermost: &dyn Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_local_however_it_is_written() {
        let local = |url: &str| is_local(&Url::parse(url).unwrap());
        assert!(["http://localhost:1/v1", "http://127.3.2.1/", "https://[::1]:8/"].into_iter().all(local));
        assert!(
            !["http://localhost.example/", "http://10.0.0.1/", "https://[2001:db8::1]/"]
                .into_iter()
                .any(local)
        );
    }
}
