//! Building URLs from segments: the only code that puts names into paths.

use std::net::SocketAddr;

use reqwest::Url;

/// The text cannot be a path segment: `.` and `..` are special in paths, however they are encoded (WHATWG URL, "single-dot path segment"),
/// and an empty segment means the path itself.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' cannot be part of an address")]
pub(crate) struct SegmentError(String);

/// The URL of a server with these path segments.
pub(crate) fn base(address: SocketAddr, segments: &[&str]) -> Url {
    let root = Url::parse(&format!("http://{address}")).expect("an address makes a URL");
    below(&root, segments).expect("our own words are segments of a path")
}

/// The URL below `base` with these segments, each percent-encoded.
pub(crate) fn below(base: &Url, segments: &[&str]) -> Result<Url, SegmentError> {
    if let Some(bad) = segments.iter().find(|segment| matches!(**segment, "" | "." | "..")) {
        return Err(SegmentError((*bad).to_owned()));
    }
    let mut url = base.clone();
    url.path_segments_mut().expect("an HTTP URL has a path").pop_if_empty().extend(segments);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_stays_one_whatever_it_holds() {
        let base = base(SocketAddr::from(([127, 0, 0, 1], 8000)), &["v1"]);
        let path =
            |segment: &str| below(&base, &["users", segment, "unseen"]).map(|url| url.path().to_owned());
        for (segment, encoded) in [
            ("bob", "bob"),
            ("a.b..", "a.b.."),
            ("dm:alice:bob", "dm:alice:bob"),
            ("a/../b?c#d", "a%2F..%2Fb%3Fc%23d"),
            ("%2e%2E", "%252e%252E"),
            ("\u{e9}\\", "%C3%A9%5C"),
        ] {
            assert_eq!(path(segment).unwrap(), format!("/v1/users/{encoded}/unseen"), "{segment}");
        }
        for bad in ["", ".", ".."] {
            assert!(path(bad).is_err(), "{bad}");
        }
        assert_eq!(super::base("[::1]:80".parse().unwrap(), &["api", "v1"]).as_str(), "http://[::1]/api/v1");
    }
}
