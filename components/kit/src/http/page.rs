//! Pages that are embedded in the program: their files, and their security headers.
//!
//! File names do not change between versions, so browsers revalidate each time (`no-cache` with a strong `ETag`) and get 304 without a body
//! if nothing changed. Only the listed files are served. Each is compressed once, when it is first asked for, and sent so to who takes gzip.

use std::io::Write;
use std::path::Path;
use std::sync::OnceLock;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

use super::hosts::{is_foreign, is_navigation};

/// The page itself, among its files.
const INDEX: &str = "index.html";

/// Security headers: only our own scripts and styles, no frames, no forms to other sites, no external resources. `connect-src 'self'`
/// covers the WebSocket of the same host (CSP Level 3).
const HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
         manifest-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

/// A file's path below the page's folder, and its content.
pub type File = (&'static str, &'static [u8]);

/// A page.
#[derive(Debug)]
pub struct Page {
    root: &'static str,
    files: &'static [File],
    etags: OnceLock<Vec<HeaderValue>>,
    /// The files compressed, where that is shorter; bounded, because the files are.
    compressed: OnceLock<Vec<Option<Vec<u8>>>>,
}

/// Embeds the [`File`]s of a page: a folder, relative to the source file, and the files in it.
#[macro_export]
macro_rules! page_files {
    ($folder:literal: $($file:literal)*) => {
        &[$(($file, include_bytes!(concat!($folder, "/", $file)).as_slice()),)*]
    };
}

impl Page {
    /// A page at the path `root`, which is empty or starts with `/` and does not end with it. The files include `index.html`, which is
    /// served at `root` itself.
    #[must_use]
    pub const fn new(root: &'static str, files: &'static [File]) -> Self {
        Self { root, files, etags: OnceLock::new(), compressed: OnceLock::new() }
    }

    /// The paths of all files.
    pub fn paths(&self) -> impl Iterator<Item = String> {
        self.files.iter().map(|(name, _)| match *name {
            INDEX if self.root.is_empty() => "/".to_owned(),
            INDEX => self.root.to_owned(),
            name => format!("{}/{name}", self.root),
        })
    }

    /// Whether a path is that of one of the files.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        self.find(path).is_some()
    }

    /// The response to a request for one of the files; 404 for any other.
    #[must_use]
    pub fn answer(&self, request: &Request) -> Response {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let allow = [(header::ALLOW, "GET, HEAD")];
            return (StatusCode::METHOD_NOT_ALLOWED, allow, "only GET and HEAD\n").into_response();
        }
        let Some(place) = self.find(request.uri().path()) else {
            let page = if self.root.is_empty() { "/" } else { self.root };
            let detail = format!("there is nothing here; the page is at {page}\n");
            return (StatusCode::NOT_FOUND, detail).into_response();
        };
        let ((name, plain), etag) = (self.files[place], &self.etags()[place]);
        let packed = self.compressed()[place].as_deref().filter(|_| takes_gzip(request.headers()));
        // Of one file there are two bodies, so there are two tags.
        let etag = if packed.is_some() { &packed_etag(etag) } else { etag };
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static(kind(name))),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (header::ETAG, etag.clone()),
            (header::VARY, HeaderValue::from_static("accept-encoding")),
        ];
        if request.headers().get(header::IF_NONE_MATCH).is_some_and(|held| is_held(held, etag)) {
            (StatusCode::NOT_MODIFIED, headers).into_response()
        } else if let Some(packed) = packed {
            (headers, [(header::CONTENT_ENCODING, "gzip")], packed.to_vec()).into_response()
        } else {
            (headers, plain).into_response()
        }
    }

    fn find(&self, path: &str) -> Option<usize> {
        let path = path.strip_prefix(self.root)?;
        let name = if path.is_empty() { INDEX } else { path.strip_prefix('/')? };
        let name = if name.is_empty() && self.root.is_empty() { INDEX } else { name };
        self.files.iter().position(|(file, _)| *file == name)
    }

    fn etags(&self) -> &[HeaderValue] {
        self.etags.get_or_init(|| self.files.iter().map(|(_, bytes)| etag(bytes)).collect())
    }

    fn compressed(&self) -> &[Option<Vec<u8>>] {
        self.compressed.get_or_init(|| self.files.iter().map(|(_, bytes)| gzip(bytes)).collect())
    }

    /// For a test: files missing in the folder or in the list, ignoring `tests` in the folder.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn differences(&self, folder: &Path) -> std::io::Result<Vec<String>> {
        let mut on_disk = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(next) = folders.pop() {
            for entry in std::fs::read_dir(next)? {
                let path = entry?.path();
                if path.is_dir() && !path.ends_with("tests") {
                    folders.push(path);
                } else if path.is_file() {
                    on_disk.push(path.strip_prefix(folder).unwrap_or(&path).display().to_string());
                }
            }
        }
        let listed = |name: &String| self.files.iter().any(|(file, _)| file == name);
        let unlisted: Vec<_> = on_disk.iter().filter(|name| !listed(name)).cloned().collect();
        let names = self.files.iter().map(|(file, _)| (*file).to_owned());
        Ok(unlisted.into_iter().chain(names.filter(|name| !on_disk.contains(name))).collect())
    }
}

/// Adds the security headers to a response.
pub fn harden(headers: &mut HeaderMap) {
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Whether a browser sent this request on behalf of a foreign page, other than by following a link to one of `pages`.
#[must_use]
pub fn is_from_elsewhere(request: &Request, pages: &[&str]) -> bool {
    let is_link = *request.method() == Method::GET
        && pages.contains(&request.uri().path())
        && is_navigation(request.headers());
    is_foreign(request.headers()) && !is_link
}

fn kind(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "webmanifest" => "application/manifest+json",
        _ => "application/octet-stream",
    }
}

fn etag(bytes: &[u8]) -> HeaderValue {
    let digest = Sha256::digest(bytes);
    let hex: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::from_str(&format!("\"{hex}\"")).expect("hexadecimal digits may stand in a header")
}

fn packed_etag(etag: &HeaderValue) -> HeaderValue {
    let tag = etag.to_str().expect("the tag is hexadecimal").trim_end_matches('"');
    HeaderValue::from_str(&format!("{tag}-gzip\"")).expect("hexadecimal digits may stand in a header")
}

/// A file compressed, unless that does not make it shorter.
fn gzip(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok().filter(|packed| packed.len() < bytes.len())
}

/// Whether `Accept-Encoding` names gzip, with a weight that is not 0 (RFC 9110, 12.5.3).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let named = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    named.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
        name.trim().eq_ignore_ascii_case("gzip") && weight.is_ok_and(|weight| weight > 0.0)
    })
}

fn is_held(if_none_match: &HeaderValue, etag: &HeaderValue) -> bool {
    let held = if_none_match.to_str().unwrap_or_default();
    held.split(',').map(|tag| tag.trim().trim_start_matches("W/")).any(|tag| tag == "*" || tag == etag)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    static AT_ROOT: Page = Page::new("", &[("index.html", b"<p>"), ("a/b.js", b"1")]);
    static BELOW: Page = Page::new("/docs", &[("index.html", b"<p>"), ("docs.css", b"")]);

    fn request(method: &Method, path: &str, headers: &[(HeaderName, &str)]) -> Request {
        let request = Request::builder().method(method).uri(path).header(header::HOST, "127.0.0.1:8001");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, *value));
        request.body(Body::empty()).unwrap()
    }

    fn get(page: &Page, path: &str) -> (StatusCode, String) {
        let answer = page.answer(&request(&Method::GET, path, &[]));
        let kind = answer.headers().get(header::CONTENT_TYPE).unwrap().to_str().unwrap().to_owned();
        (answer.status(), kind)
    }

    #[test]
    fn a_page_has_its_files_and_nothing_else() {
        let html = (StatusCode::OK, "text/html; charset=utf-8".to_owned());
        let script = (StatusCode::OK, "text/javascript; charset=utf-8".to_owned());
        for (page, path, expected) in [
            (&AT_ROOT, "/", &html),
            (&AT_ROOT, "/index.html", &html),
            (&AT_ROOT, "/a/b.js", &script),
            (&BELOW, "/docs", &html),
            (&BELOW, "/docs/index.html", &html),
        ] {
            assert_eq!(get(page, path), *expected, "{path}");
        }
        for (page, path) in [
            (&AT_ROOT, "//"),
            (&AT_ROOT, "/a"),
            (&AT_ROOT, "/../Cargo.toml"),
            (&BELOW, "/"),
            (&BELOW, "/docsdocs.css"),
            (&BELOW, "/docs//docs.css"),
            (&BELOW, "/docs/"),
        ] {
            assert_eq!(get(page, path).0, StatusCode::NOT_FOUND, "{path}");
        }
        assert!(AT_ROOT.has("/") && AT_ROOT.has("/a/b.js") && !AT_ROOT.has("/b.js"));
        assert_eq!(AT_ROOT.paths().collect::<Vec<_>>(), ["/", "/a/b.js"]);
        assert_eq!(BELOW.paths().collect::<Vec<_>>(), ["/docs", "/docs/docs.css"]);
        let post = AT_ROOT.answer(&request(&Method::POST, "/", &[]));
        assert_eq!(post.status(), StatusCode::METHOD_NOT_ALLOWED);
    }

    #[test]
    fn a_file_that_the_browser_holds_is_not_sent_again() {
        let ask = |held: &str| AT_ROOT.answer(&request(&Method::GET, "/", &[(header::IF_NONE_MATCH, held)]));
        let etag = ask("\"other\"").headers().get(header::ETAG).unwrap().to_str().unwrap().to_owned();
        for (held, status) in [
            (etag.clone(), StatusCode::NOT_MODIFIED),
            (format!("\"x\", W/{etag}"), StatusCode::NOT_MODIFIED),
            ("*".to_owned(), StatusCode::NOT_MODIFIED),
            ("\"other\"".to_owned(), StatusCode::OK),
        ] {
            assert_eq!(ask(&held).status(), status, "{held}");
        }
    }

    #[test]
    fn a_link_to_the_page_may_be_anywhere_and_nothing_else_is_for_other_pages() {
        let site = |value| (HeaderName::from_static("sec-fetch-site"), value);
        let mode = (HeaderName::from_static("sec-fetch-mode"), "navigate");
        let document = (HeaderName::from_static("sec-fetch-dest"), "document");
        let link = [site("cross-site"), mode, document];
        let is_from_elsewhere =
            |method, path, headers: &[_]| is_from_elsewhere(&request(&method, path, headers), &["/"]);
        assert!(!is_from_elsewhere(Method::GET, "/", &link));
        assert!(is_from_elsewhere(Method::POST, "/", &link));
        assert!(is_from_elsewhere(Method::GET, "/messages", &link));
        assert!(is_from_elsewhere(Method::GET, "/", &link[..1]));
        assert!(is_from_elsewhere(Method::POST, "/send", &[(header::ORIGIN, "http://evil.example")]));
        assert!(!is_from_elsewhere(Method::POST, "/send", &[(header::ORIGIN, "http://127.0.0.1:8001")]));
        assert!(!is_from_elsewhere(Method::POST, "/send", &[site("same-origin")]));
        assert!(!is_from_elsewhere(Method::POST, "/send", &[]));
    }
}
