//! Who may ask: programs of this machine, and our own page. A page from elsewhere that a browser of this machine shows may not,
//! under whatever name it was made to reach us.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use kit::http::Hosts;

use super::problem::problem;

/// What the page may do, and where it may be shown.
const HEADERS: [(HeaderName, &str); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
         frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Middleware: refuses what a foreign page may have sent, and hardens every answer.
pub(super) async fn guard(request: Request, next: Next) -> Response {
    let mut response = match Hosts::default().check(request) {
        Ok(request) if is_foreign(request.method(), request.headers()) => {
            problem(StatusCode::FORBIDDEN, "pages from elsewhere may not do this")
        }
        Ok(request) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whether a request that does something comes from a page that is not ours, by what browsers say of it (Fetch Metadata, RFC 6454).
fn is_foreign(method: &Method, headers: &HeaderMap) -> bool {
    if matches!(*method, Method::GET | Method::HEAD) {
        return false;
    }
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let site = text(HeaderName::from_static("sec-fetch-site"));
    let is_other_site = site.is_some_and(|site| site != "same-origin" && site != "none");
    let host = text(header::HOST).unwrap_or_default();
    let is_other_origin =
        text(header::ORIGIN).is_some_and(|origin| origin.strip_prefix("http://") != Some(host));
    is_other_site || is_other_origin
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_page_and_programs_may_do_something() {
        let headers = |given: &[(&'static str, &'static str)]| {
            let pairs = given
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            pairs.chain([(header::HOST, HeaderValue::from_static("127.0.0.1:8001"))]).collect::<HeaderMap>()
        };
        let ours = [("origin", "http://127.0.0.1:8001"), ("sec-fetch-site", "same-origin")];
        for fine in [&ours[..], &[], &[("sec-fetch-site", "none")]] {
            assert!(!is_foreign(&Method::POST, &headers(fine)), "{fine:?}");
        }
        for foreign in [
            ("origin", "http://evil.example"),
            ("origin", "null"),
            ("origin", "https://127.0.0.1:8001"),
            ("origin", "http://127.0.0.1:80"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert!(is_foreign(&Method::POST, &headers(&[foreign])), "{foreign:?}");
            assert!(!is_foreign(&Method::GET, &headers(&[foreign])));
        }
    }
}
