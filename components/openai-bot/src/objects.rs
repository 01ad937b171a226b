//! Splits a byte stream, however it is chunked, into JSON objects: one, several lines of them (NDJSON), or an array of them.
//!
//! Finds the end of each object by counting braces outside strings, so each byte is processed once. The JSON itself is checked by the
//! parser.

use crate::sse::LINE_BYTES;

/// Splits bytes into objects.
///
/// Bound: one object of at most [`LINE_BYTES`]. Overflow rule: a larger one is an error, and the stream is unusable.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    object: Vec<u8>,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

/// Why the bytes are not objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotObjects {
    #[error("there is something else than objects between objects")]
    SomethingElse,
    #[error("an object has more than {LINE_BYTES} bytes")]
    TooLong,
}

impl Objects {
    /// Processes more bytes and adds completed objects. Invalid UTF-8 is replaced by U+FFFD.
    pub(crate) fn feed(&mut self, bytes: &[u8], complete: &mut Vec<String>) -> Result<(), NotObjects> {
        for &byte in bytes {
            if self.depth == 0 && byte != b'{' {
                match byte {
                    b'[' | b']' | b',' | b' ' | b'\t' | b'\r' | b'\n' => continue,
                    _ => return Err(NotObjects::SomethingElse),
                }
            }
            if self.object.len() >= LINE_BYTES {
                return Err(NotObjects::TooLong);
            }
            self.object.push(byte);
            if self.ends_with(byte) {
                complete.push(String::from_utf8_lossy(&self.object).into_owned());
                self.object.clear();
            }
        }
        Ok(())
    }

    /// Whether an object is incomplete.
    pub(crate) fn is_open(&self) -> bool {
        self.depth > 0
    }

    /// Whether the object is complete with this byte.
    fn ends_with(&mut self, byte: u8) -> bool {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.in_string => self.escaped = true,
            b'"' => self.in_string = !self.in_string,
            b'{' if !self.in_string => self.depth += 1,
            b'}' if !self.in_string => {
                self.depth -= 1;
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn objects(bytes: &[u8]) -> (Vec<String>, Result<(), NotObjects>, bool) {
        let (mut objects, mut complete) = (Objects::default(), Vec::new());
        let result = objects.feed(bytes, &mut complete);
        (complete, result, objects.is_open())
    }

    #[test]
    fn one_object_lines_of_them_and_an_array() {
        assert_eq!(objects(b"{\"a\":{}}"), (vec!["{\"a\":{}}".into()], Ok(()), false));
        assert_eq!(objects(b"{}\n{ }\r\n").0, ["{}", "{ }"]);
        assert_eq!(objects(b"[{},\n{\"a\":[1]}]").0, ["{}", "{\"a\":[1]}"]);
        assert_eq!(objects(br#"{"a":"}\"{"}{"b"#), (vec![r#"{"a":"}\"{"}"#.into()], Ok(()), true));
        assert_eq!(objects(b"[1]").1, Err(NotObjects::SomethingElse));
    }

    #[test]
    fn an_endless_object_is_an_error() {
        let (mut objects, mut complete) = (Objects::default(), Vec::new());
        let result = (0..10_000).try_for_each(|_| objects.feed(&[b'{'; 1000], &mut complete));
        assert_eq!(result, Err(NotObjects::TooLong));
    }

    proptest! {
        #[test]
        fn json_values_are_found_wherever_their_bytes_are_cut(
            values in prop::collection::vec(("[a-z{}\"\\\\ä]{0,9}", any::<i64>()), 0..9), size in 1usize..9
        ) {
            let values: Vec<_> =
                values.into_iter().map(|(text, n)| serde_json::json!({"a": text, "b": {"c": n}}).to_string()).collect();
            let (mut objects, mut complete) = (Objects::default(), Vec::new());
            for piece in values.join("\n").as_bytes().chunks(size) {
                objects.feed(piece, &mut complete).unwrap();
            }
            prop_assert_eq!(complete, values);
        }

        #[test]
        fn hostile_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = objects(&bytes);
        }
    }
}
