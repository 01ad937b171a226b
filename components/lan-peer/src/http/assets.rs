//! The page's files, embedded in the binary.

use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! files {
    ($($path:literal $kind:ident $file:literal;)*) => {
        &[$(($path, $kind, include_bytes!(concat!("../../page/", $file)).as_slice()),)*]
    };
}

/// Every file there is; nothing else is served.
const FILES: &[(&str, &str, &[u8])] = files! {
    "/" HTML "index.html";
    "/page.css" CSS "page.css";
    "/api.js" SCRIPT "api.js";
    "/conversation.js" SCRIPT "conversation.js";
    "/dialogs.js" SCRIPT "dialogs.js";
    "/dom.js" SCRIPT "dom.js";
    "/main.js" SCRIPT "main.js";
    "/people.js" SCRIPT "people.js";
};

pub(super) async fn asset(request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")], "only GET and HEAD\n")
            .into_response();
    }
    let Some((_, kind, bytes)) = FILES.iter().find(|(path, ..)| *path == request.uri().path()) else {
        return (StatusCode::NOT_FOUND, "there is nothing here; the page is at /\n").into_response();
    };
    ([(header::CONTENT_TYPE, *kind), (header::CACHE_CONTROL, "no-cache")], *bytes).into_response()
}
