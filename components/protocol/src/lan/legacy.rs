//! The legacy protocol: one TCP connection per message, UTF-8 text, of which at most 1,000 bytes are read. And its HTTP bodies.

use serde::{Deserialize, Serialize};

use crate::Body;

/// Legacy programs read this many bytes of a message and discard the rest.
pub const MESSAGE_BYTES: usize = 1000;
/// Most parts of one text; enough for the longest body.
pub const MAX_PARTS: usize = 24;
/// Bytes reserved for `(12/24) ` before a part.
const MARK_BYTES: usize = 8;

/// The body of `POST /send`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendRequest {
    /// The peer's address.
    pub ip: String,
    /// The text.
    pub msg: String,
}

/// The answer to `POST /send`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendAnswer {
    /// `sent`.
    pub status: String,
}

/// Splits a body into the texts to send: one if it fits into a legacy message, otherwise numbered parts.
///
/// Splits between words where possible, never inside a character.
#[must_use]
pub fn parts(body: &Body) -> Vec<String> {
    let text = body.as_str();
    if text.len() <= MESSAGE_BYTES {
        return vec![text.to_owned()];
    }
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(cut(rest));
        pieces.push(piece);
        rest = after;
    }
    let count = pieces.len();
    let mark = |(index, piece): (usize, &&str)| format!("({}/{count}) {piece}", index + 1);
    pieces.iter().enumerate().map(mark).collect()
}

/// The end of the next part. Only the last quarter is searched for white space, so that no part becomes small.
fn cut(rest: &str) -> usize {
    let room = MESSAGE_BYTES - MARK_BYTES;
    if rest.len() <= room {
        return rest.len();
    }
    let end = floor(rest, room);
    let from = floor(rest, end - end / 4);
    let last_space = rest[from..end].rmatch_indices(char::is_whitespace).next();
    last_space.map_or(end, |(at, space)| from + at + space.len())
}

/// The last place where a text can be cut, at `at` bytes or before.
#[must_use]
pub fn floor(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|place| text.is_char_boundary(*place)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::BODY_BYTES;
    use proptest::prelude::*;

    #[test]
    fn a_text_that_fits_goes_as_it_is() {
        let body = Body::parse(&"x".repeat(MESSAGE_BYTES)).unwrap();
        assert_eq!(parts(&body), [body.as_str()]);
    }

    #[test]
    fn the_largest_body_goes_in_parts_that_can_be_read() {
        for text in ["x".repeat(BODY_BYTES), "€".repeat(BODY_BYTES / 3), "word\u{a0}".repeat(BODY_BYTES / 6)]
        {
            let sent = parts(&Body::parse(&text).unwrap());
            assert!(sent.len() <= MAX_PARTS, "{}", sent.len());
            assert!(sent[0].starts_with("(1/"));
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_every_part_can_be_read(words in prop::collection::vec("\\PC{1,90}", 1..200)) {
            if let Ok(body) = Body::parse(&words.join(" ")) {
                let sent = parts(&body);
                prop_assert!(sent.iter().all(|part| part.len() <= MESSAGE_BYTES));
                if sent.len() > 1 {
                    let unmarked = sent.iter().map(|part| part.split_once(") ").unwrap().1);
                    prop_assert_eq!(unmarked.collect::<String>(), body.as_str());
                }
            }
        }
    }
}
