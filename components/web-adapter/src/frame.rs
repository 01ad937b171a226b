//! Unparsed frames of browsers, and the error frames about them.

use protocol::native::{ErrorCode, ErrorFrame, ServerFrame};
use protocol::web::AdapterFrame;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Why a frame cannot be passed on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadFrame {
    #[error("frames are text; a binary frame was dropped")]
    Binary,
    #[error("a frame has at most {} bytes", protocol::limits::LINE_BYTES)]
    TooLong,
    #[error("{}", kit::unfinished::REFUSAL)]
    Unfinished,
    #[error("the frame is not a JSON object: {0}")]
    NotJson(String),
}

impl BadFrame {
    /// As an error of the native dialect.
    pub(crate) fn to_native(&self) -> ServerFrame {
        let code = match self {
            Self::Binary | Self::NotJson(_) => ErrorCode::BadFrame,
            Self::TooLong => ErrorCode::TooLong,
            Self::Unfinished => ErrorCode::Full,
        };
        error(code, self.to_string())
    }

    /// As a frame for existing pages.
    pub(crate) fn to_system(&self) -> AdapterFrame {
        system(format!("Not understood: {self}."))
    }
}

/// An error of the native dialect that concerns no message.
pub(crate) fn error(code: ErrorCode, message: String) -> ServerFrame {
    ServerFrame::Error(ErrorFrame { code, message, client_id: None, retry_after_ms: None })
}

/// Information from the server for an existing page.
pub(crate) fn system(message: impl Into<String>) -> AdapterFrame {
    AdapterFrame::System { message: message.into() }
}

/// The `type` of a frame, if it is a JSON object.
#[derive(Debug, Deserialize)]
pub(crate) struct Outline {
    /// The type; `None` if it is missing or not a string.
    #[serde(rename = "type", default, deserialize_with = "text_or_nothing")]
    pub(crate) kind: Option<String>,
}

impl Outline {
    /// Parses a frame.
    pub(crate) fn parse(frame: &str) -> Result<Self, BadFrame> {
        check(frame)?;
        serde_json::from_str(frame).map_err(|error| BadFrame::NotJson(error.to_string()))
    }
}

fn text_or_nothing<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(value.as_str().map(str::to_owned))
}

fn check(frame: &str) -> Result<(), BadFrame> {
    // serde would also accept an array for a struct.
    if !frame.trim_start().starts_with('{') {
        return Err(BadFrame::NotJson("it does not start with '{'".to_owned()));
    }
    serde_json::from_str::<IgnoredAny>(frame).map(drop).map_err(|error| BadFrame::NotJson(error.to_string()))
}

/// The line of the native dialect that a frame is. JSON may be written over several lines; a line feed in it can only be white
/// space between its parts, for inside a text it would have to be escaped.
pub(crate) fn to_line(frame: &str) -> Result<Vec<u8>, BadFrame> {
    check(frame)?;
    let mut line = frame.trim().as_bytes().to_vec();
    for byte in &mut line {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_becomes_one_line_whatever_its_layout() {
        let line = to_line(" {\n\"type\":\r\n\"ping\", \"x\":\"a\\nb\"}\n").unwrap();
        assert_eq!(line, b"{ \"type\":  \"ping\", \"x\":\"a\\nb\"}\n");
    }

    #[test]
    fn what_is_not_one_object_is_refused() {
        for bad in ["", "x", "[]", "null", "\"{}\"", "{", "{}{}", "{}\n{}", "{\"a\":\"\n\"}", "{\"a\":1,}"] {
            assert!(to_line(bad).is_err(), "{bad}");
            assert!(Outline::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn deep_nesting_costs_nothing_here() {
        let deep = format!("{{\"type\":\"x\",\"a\":{}{}}}", "[".repeat(30_000), "]".repeat(30_000));
        assert!(to_line(&deep).is_ok_and(|line| line.len() == deep.len() + 1));
        assert!(Outline::parse(&deep).is_ok());
        assert!(Outline::parse(&deep.replace("\"x\",\"a\":", "")).is_err());
    }

    #[test]
    fn the_type_is_read_where_there_is_one() {
        let kind = |frame: &str| Outline::parse(frame).unwrap().kind;
        assert_eq!(kind(r#"{"type":"hello","name":5}"#).as_deref(), Some("hello"));
        assert_eq!(kind(r#"{"type":5}"#), None);
        assert_eq!(kind("{}"), None);
    }
}
