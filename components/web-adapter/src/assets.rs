//! The page's files, embedded in the binary.
//!
//! They keep their names from one version to the next, so browsers ask each time whether theirs is still the one (`no-cache` with
//! a strong `ETag`); the answer is 304 without a body.

use std::sync::LazyLock;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use sha2::{Digest, Sha256};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
const MANIFEST: &str = "application/manifest+json";

/// One file.
#[derive(Debug)]
pub(crate) struct Asset {
    path: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
    etag: HeaderValue,
}

macro_rules! files {
    ($($path:literal $kind:ident $file:literal;)*) => {
        &[$(($path, $kind, include_bytes!(concat!("../page/", $file)).as_slice()),)*]
    };
}

/// Every file there is; nothing else is served.
const FILES: &[(&str, &str, &[u8])] = files! {
    "/" HTML "index.html";
    "/favicon.svg" SVG "favicon.svg";
    "/manifest.webmanifest" MANIFEST "manifest.webmanifest";
    "/styles/base.css" CSS "styles/base.css";
    "/styles/conversation.css" CSS "styles/conversation.css";
    "/styles/login.css" CSS "styles/login.css";
    "/styles/sidebar.css" CSS "styles/sidebar.css";
    "/scripts/backoff.js" SCRIPT "scripts/backoff.js";
    "/scripts/chat.js" SCRIPT "scripts/chat.js";
    "/scripts/connection.js" SCRIPT "scripts/connection.js";
    "/scripts/dates.js" SCRIPT "scripts/dates.js";
    "/scripts/drafts.js" SCRIPT "scripts/drafts.js";
    "/scripts/keep.js" SCRIPT "scripts/keep.js";
    "/scripts/log.js" SCRIPT "scripts/log.js";
    "/scripts/main.js" SCRIPT "scripts/main.js";
    "/scripts/names.js" SCRIPT "scripts/names.js";
    "/scripts/outbox.js" SCRIPT "scripts/outbox.js";
    "/scripts/services.js" SCRIPT "scripts/services.js";
    "/scripts/store.js" SCRIPT "scripts/store.js";
    "/scripts/text.js" SCRIPT "scripts/text.js";
    "/scripts/theme.js" SCRIPT "scripts/theme.js";
    "/scripts/timeline.js" SCRIPT "scripts/timeline.js";
    "/scripts/views/avatar.js" SCRIPT "scripts/views/avatar.js";
    "/scripts/views/bubble.js" SCRIPT "scripts/views/bubble.js";
    "/scripts/views/composer.js" SCRIPT "scripts/views/composer.js";
    "/scripts/views/conversation.js" SCRIPT "scripts/views/conversation.js";
    "/scripts/views/dom.js" SCRIPT "scripts/views/dom.js";
    "/scripts/views/login.js" SCRIPT "scripts/views/login.js";
    "/scripts/views/notices.js" SCRIPT "scripts/views/notices.js";
    "/scripts/views/question.js" SCRIPT "scripts/views/question.js";
    "/scripts/views/reading.js" SCRIPT "scripts/views/reading.js";
    "/scripts/views/sidebar.js" SCRIPT "scripts/views/sidebar.js";
};

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    FILES.iter().map(|&(path, kind, bytes)| Asset { path, kind, bytes, etag: etag(bytes) }).collect()
});

fn etag(bytes: &[u8]) -> HeaderValue {
    let digest = Sha256::digest(bytes);
    let hex: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::from_str(&format!("\"{hex}\"")).expect("hexadecimal digits may stand in a header")
}

/// The file at a path.
pub(crate) fn find(path: &str) -> Option<&'static Asset> {
    let path = if path == "/index.html" { "/" } else { path };
    ASSETS.iter().find(|asset| asset.path == path)
}

impl Asset {
    /// The answer to a request for it; `if_none_match` is what the browser holds.
    pub(crate) fn answer(&'static self, if_none_match: Option<&HeaderValue>) -> Response<Body> {
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static(self.kind)),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (header::ETAG, self.etag.clone()),
        ];
        if if_none_match.is_some_and(|held| self.is_held(held)) {
            (StatusCode::NOT_MODIFIED, headers).into_response()
        } else {
            (headers, self.bytes).into_response()
        }
    }

    fn is_held(&self, if_none_match: &HeaderValue) -> bool {
        let etag = self.etag.to_str().expect("an etag is ASCII");
        let held = if_none_match.to_str().unwrap_or_default();
        held.split(',').map(|tag| tag.trim().trim_start_matches("W/")).any(|tag| tag == "*" || tag == etag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn a_file_that_the_browser_holds_is_not_sent_again() {
        let asset = find("/").unwrap();
        assert_eq!(asset.answer(None).status(), StatusCode::OK);
        for held in [
            asset.etag.clone(),
            HeaderValue::from_str(&format!("\"x\", W/{}", asset.etag.to_str().unwrap())).unwrap(),
        ] {
            assert_eq!(asset.answer(Some(&held)).status(), StatusCode::NOT_MODIFIED);
        }
        assert_eq!(asset.answer(Some(&HeaderValue::from_static("\"other\""))).status(), StatusCode::OK);
    }

    #[test]
    fn every_file_of_the_page_is_served_and_nothing_else() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("page");
        let mut on_disk = BTreeSet::new();
        let mut folders = vec![page.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.ends_with("tests") {
                    continue;
                }
                if path.is_dir() {
                    folders.push(path);
                } else {
                    on_disk.insert(format!("/{}", path.strip_prefix(&page).unwrap().display()));
                }
            }
        }
        let path =
            |asset: &Asset| if asset.path == "/" { "/index.html".to_owned() } else { asset.path.to_owned() };
        let served: BTreeSet<String> = ASSETS.iter().map(path).collect();
        assert_eq!(served, on_disk);
        assert!(find("/../Cargo.toml").is_none());
    }
}
