//! The text of a message. What could steer a terminal is removed when it comes in, so nobody downstream has to.

use std::sync::Arc;

use crate::limits::BODY_BYTES;
use crate::sanitise;
use crate::validated::{Parser, string_type};

/// A message's text: 1 to [`BODY_BYTES`] bytes of UTF-8 without what steers a terminal ([`sanitise::steers`]) other than newlines.
/// One that an earlier version stored may hold more, so a body is cleaned again where it is shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Body(Arc<str>);

/// Why a text is not a message body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Nothing is left once white space around it and control characters are gone.
    #[error("a message cannot be empty")]
    Empty,
    /// More than [`BODY_BYTES`] bytes.
    #[error("a message has at most {BODY_BYTES} bytes")]
    TooLong,
}

impl Body {
    /// Cleans and checks a text: what [`sanitise::text`] removes goes, and white space around it.
    ///
    /// # Errors
    /// When nothing is left, or more than [`BODY_BYTES`] bytes are.
    pub fn parse(text: &str) -> Result<Self, BodyError> {
        let text = text.trim();
        // Cleaning only ever shrinks a text; a bound before it keeps one message from costing more than a few.
        if text.len() > 4 * BODY_BYTES {
            return Err(BodyError::TooLong);
        }
        Self::bounded(sanitise::text(text).trim())
    }

    /// Reads a body that was stored, as it is: earlier versions let more characters through, and what is stored can always be read.
    ///
    /// # Errors
    /// When it is empty, or longer than [`BODY_BYTES`] bytes.
    pub fn stored(text: &str) -> Result<Self, BodyError> {
        Self::bounded(text)
    }

    fn bounded(text: &str) -> Result<Self, BodyError> {
        match text.len() {
            0 => Err(BodyError::Empty),
            1..=BODY_BYTES => Ok(Self(text.into())),
            _ => Err(BodyError::TooLong),
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

string_type!(
    Body,
    "Body",
    "1 to 16384 bytes of text; control characters other than newline and tab are removed"
);

/// For `#[serde(deserialize_with)]`: a body as it was stored.
pub(crate) fn stored<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Body, D::Error> {
    deserializer.deserialize_str(Parser(Body::stored))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn control_characters_are_removed() {
        assert_eq!(Body::parse("\u{1b}[31mred\u{7}\u{9b}2J\0 end\u{7f}").unwrap().as_str(), "[31mred2J end");
        assert_eq!(Body::parse("a\r\nb\rc\td").unwrap().as_str(), "a\nb\nc\td");
        assert_eq!(Body::parse("\u{202e}abc").unwrap().as_str(), "abc");
    }

    #[test]
    fn sizes_are_held() {
        assert_eq!(Body::parse(" \u{1b} "), Err(BodyError::Empty));
        assert!(Body::parse(&"x".repeat(BODY_BYTES)).is_ok());
        assert_eq!(Body::parse(&"x".repeat(BODY_BYTES + 1)), Err(BodyError::TooLong));
        assert_eq!(Body::parse(&"\u{1}".repeat(5 * BODY_BYTES)), Err(BodyError::TooLong));
    }

    proptest! {
        #[test]
        fn a_parsed_body_is_clean_and_parses_to_itself(text in any::<String>()) {
            if let Ok(body) = Body::parse(&text) {
                prop_assert!(body.as_str().chars().all(|c| !sanitise::steers(c) || c == '\n'));
                prop_assert_eq!(Body::parse(body.as_str()).unwrap(), body);
            }
        }
    }
}
