//! Who may ask: programs of this machine, and our own page. A page from elsewhere that a browser of this machine shows may not,
//! under whatever name it was made to reach us.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
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
        Ok(request) if is_foreign(&request) => {
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

/// Whether a request comes from a page that is not ours, by what browsers say of it (Fetch Metadata, RFC 6454). Programs say nothing.
///
/// Of what only reads, too: a foreign page cannot see the answer, but it can take the places of those who follow, and tell by the time
/// that an answer takes what is in it. A link to the page may be anywhere.
fn is_foreign(request: &Request) -> bool {
    let headers = request.headers();
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let host = text(header::HOST).unwrap_or_default();
    if text(header::ORIGIN).is_some_and(|origin| origin.strip_prefix("http://") != Some(host)) {
        return true;
    }
    let site = text(HeaderName::from_static("sec-fetch-site"));
    let is_other_site = site.is_some_and(|site| site != "same-origin" && site != "none");
    is_other_site && !is_link_to_the_page(request)
}

fn is_link_to_the_page(request: &Request) -> bool {
    let mode = request.headers().get("sec-fetch-mode").and_then(|mode| mode.to_str().ok());
    *request.method() == Method::GET && request.uri().path() == "/" && mode == Some("navigate")
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn is_foreign_to(method: Method, path: &str, headers: &[(&str, &str)]) -> bool {
        let request = Request::builder().method(method).uri(path).header(header::HOST, "127.0.0.1:8001");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        is_foreign(&request.body(Body::empty()).unwrap())
    }

    #[test]
    fn only_our_own_page_and_programs_may_ask() {
        let ours = [("origin", "http://127.0.0.1:8001"), ("sec-fetch-site", "same-origin")];
        for fine in [&ours[..], &[], &[("sec-fetch-site", "none")]] {
            assert!(!is_foreign_to(Method::POST, "/send", fine), "{fine:?}");
            assert!(!is_foreign_to(Method::GET, "/messages", fine), "{fine:?}");
        }
        for foreign in [
            ("origin", "http://evil.example"),
            ("origin", "null"),
            ("origin", "https://127.0.0.1:8001"),
            ("origin", "http://127.0.0.1:80"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert!(is_foreign_to(Method::POST, "/send", &[foreign]), "{foreign:?}");
            assert!(is_foreign_to(Method::GET, "/api/v1/events", &[foreign]), "{foreign:?}");
        }
        let link = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")];
        assert!(!is_foreign_to(Method::GET, "/", &link));
        assert!(is_foreign_to(Method::POST, "/", &link) && is_foreign_to(Method::GET, "/messages", &link));
    }
}
