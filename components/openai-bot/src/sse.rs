//! Lines of a stream of server-sent events, however it is chunked (WHATWG HTML, "Server-sent events", "Interpreting an event stream").
//!
//! Unlike in the standard, each `data` line is returned at once, and a last line without a line end counts, because endpoints omit the
//! blank line after an event or send none at all. The reader of the data finds the ends of objects. Ids and retry times are ignored,
//! because models' answers do not use them.

/// Longest line in bytes, without its end. Most endpoints send a few words at a time, some a complete answer with every character escaped.
pub const LINE_BYTES: usize = 4 * 1024 * 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A parsed line. Comments and unknown fields are ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// `data: …`
    Data(Vec<u8>),
    /// `event: …`: the name of the event that the lines up to the next blank one make up.
    Event(Vec<u8>),
    /// `error: …`, which llama.cpp sends in place of an event.
    Error(Vec<u8>),
    /// A blank line.
    Blank,
}

/// Splits bytes into lines.
///
/// Bound: one line of at most [`LINE_BYTES`]. Overflow rule: a longer one is an error, and the stream is unusable.
#[derive(Debug, Default)]
pub struct Decoder {
    line: Vec<u8>,
    /// Whether the last byte was a carriage return: a following newline belongs to the same line end.
    after_return: bool,
    past_first_line: bool,
}

/// A line exceeds the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a line of the stream has more than {LINE_BYTES} bytes")]
pub struct LineTooLong;

impl Decoder {
    /// Processes more bytes and returns completed lines.
    ///
    /// # Errors
    /// When a line exceeds the limit.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<Vec<Line>, LineTooLong> {
        let mut lines = Vec::new();
        if self.after_return && !bytes.is_empty() {
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
            self.after_return = false;
        }
        while let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            self.extend_line(&bytes[..end])?;
            lines.extend(self.end_line());
            let is_return = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            self.after_return = is_return && bytes.is_empty();
            if is_return {
                bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
            }
        }
        self.extend_line(bytes)?;
        Ok(lines)
    }

    /// The stream has ended: returns the last line without a line end.
    pub fn finish(&mut self) -> Option<Line> {
        if self.line.is_empty() { None } else { self.end_line() }
    }

    fn extend_line(&mut self, bytes: &[u8]) -> Result<(), LineTooLong> {
        if self.line.len() + bytes.len() > LINE_BYTES {
            return Err(LineTooLong);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self) -> Option<Line> {
        let line = std::mem::take(&mut self.line);
        let first = !std::mem::replace(&mut self.past_first_line, true);
        let line = if first { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&line) } else { &line };
        if line.is_empty() {
            return Some(Line::Blank);
        }
        let (field, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value).to_vec();
        match field {
            b"data" => Some(Line::Data(value)),
            b"event" => Some(Line::Event(value)),
            b"error" => Some(Line::Error(value)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(bytes: &[u8]) -> Vec<Line> {
        let mut decoder = Decoder::default();
        let mut lines = decoder.feed(bytes).unwrap();
        lines.extend(decoder.finish());
        lines
    }

    fn data(text: &str) -> Line {
        Line::Data(text.as_bytes().to_vec())
    }

    #[test]
    fn lines_comments_and_all_three_line_ends() {
        let blank = || Line::Blank;
        assert_eq!(
            decode(b"data: a\n\ndata:b\r\n\r\ndata: c\r\r"),
            [data("a"), blank(), data("b"), blank(), data("c"), blank()]
        );
        assert_eq!(
            decode(b": ping\n\nevent: x\nid: 1\ndata: [DONE]\n\n"),
            [blank(), Line::Event(b"x".to_vec()), data("[DONE]"), blank()]
        );
        assert_eq!(decode(b"data: one\ndata: two\ndata\n"), [data("one"), data("two"), data("")]);
        assert_eq!(decode(b"\xef\xbb\xbfdata:  x\n"), [data(" x")]);
        assert_eq!(decode(b"data: {\"a\":1}"), [data("{\"a\":1}")], "the last line needs no end");
        assert_eq!(decode(b"error: {}\n"), [Line::Error(b"{}".to_vec())]);
    }

    #[test]
    fn an_endless_line_is_an_error_and_costs_no_memory() {
        let mut decoder = Decoder::default();
        let result = (0..10_000).try_for_each(|_| decoder.feed(&[b'x'; 1000]).map(drop));
        assert_eq!(result, Err(LineTooLong));
        assert!(decoder.line.capacity() <= 2 * LINE_BYTES);
    }

    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let token = prop::sample::select(vec![
            &b"data"[..],
            b"data: ",
            b":",
            b"\n",
            b"\r",
            b"\r\n",
            b"\n\n",
            b"event: x",
            b"\xef\xbb\xbf",
            "ä€😀".as_bytes(),
            b"\xff",
            b"{\"a\":1}",
        ]);
        prop::collection::vec(token, 0..60).prop_map(|tokens| tokens.concat())
    }

    proptest! {
        #[test]
        fn any_cut_of_the_bytes_gives_the_same_lines(bytes in stream(), cuts in prop::collection::vec(0usize..200, 0..20)) {
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut decoder = Decoder::default();
            let mut lines = Vec::new();
            for pair in cuts.windows(2) {
                lines.extend(decoder.feed(&bytes[pair[0]..pair[1]]).unwrap());
            }
            lines.extend(decoder.finish());
            prop_assert_eq!(lines, decode(&bytes));
            let mut decoder = Decoder::default();
            let mut one_by_one: Vec<_> = bytes.chunks(1).flat_map(|byte| decoder.feed(byte).unwrap()).collect();
            one_by_one.extend(decoder.finish());
            prop_assert_eq!(one_by_one, decode(&bytes));
        }

        #[test]
        fn hostile_bytes_do_no_harm(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..30)) {
            let mut decoder = Decoder::default();
            for chunk in chunks {
                let _ = decoder.feed(&chunk);
            }
            decoder.finish();
        }
    }
}
