//! The text of a message. Control characters are removed on input, so that code downstream need not do it.

use std::sync::Arc;

use crate::limits::BODY_BYTES;
use crate::sanitise;
use crate::validated::{Parser, string_type};

/// A message's text: 1 to [`BODY_BYTES`] bytes of UTF-8 without terminal control characters ([`sanitise::steers`]) other than newlines. A
/// body stored by an earlier version may contain more of them, so bodies are sanitised again when displayed.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Body(Arc<str>);

/// Why a text is not a message body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The text is empty after white space around it and control characters were removed.
    #[error("a message cannot be empty")]
    Empty,
    /// More than [`BODY_BYTES`] bytes.
    #[error("a message has at most {BODY_BYTES} bytes")]
    TooLong,
}

impl Body {
    /// Sanitises ([`sanitise::text`]), trims and validates a text.
    ///
    /// # Errors
    /// When the result is empty or longer than [`BODY_BYTES`] bytes.
    pub fn parse(text: &str) -> Result<Self, BodyError> {
        let text = text.trim();
        // Sanitising only shrinks a text; a limit before it bounds the work for one message.
        if text.len() > 4 * BODY_BYTES {
            return Err(BodyError::TooLong);
        }
        Self::bounded(sanitise::text(text).trim())
    }

    /// Accepts a stored body unchanged: earlier versions allowed more characters, and stored messages stay readable.
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

/// For `#[serde(deserialize_with)]`: a stored body, accepted unchanged.
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
