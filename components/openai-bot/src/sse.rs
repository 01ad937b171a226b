//! Server-sent events out of a byte stream: the `data` of each event, however the bytes were cut (WHATWG HTML, "Server-sent
//! events", "Interpreting an event stream").
//!
//! Leaves out event names, ids and retry times, which a model's answer does not use.

/// Longest event, its line ends not counted. A model sends a few words at a time; some send a whole tool call.
const EVENT_BYTES: usize = 256 * 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Takes bytes in, gives events out.
///
/// Bound: one event of at most [`EVENT_BYTES`]. Overflow rule: one that is longer is an error, and the stream is of no use any more.
#[derive(Debug, Default)]
pub struct Decoder {
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    /// The last byte was a carriage return, so that a newline now belongs to the same line end.
    after_return: bool,
    past_first_line: bool,
}

/// An event is longer than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event has more than {EVENT_BYTES} bytes")]
pub struct EventTooLong;

impl Decoder {
    /// Reads some more of the stream and returns the events that are whole now. What is not UTF-8 is replaced by U+FFFD.
    ///
    /// # Errors
    /// When an event is longer than allowed.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<Vec<String>, EventTooLong> {
        let mut events = Vec::new();
        if self.after_return && !bytes.is_empty() {
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
            self.after_return = false;
        }
        while let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            self.extend_line(&bytes[..end])?;
            events.extend(self.end_line()?);
            let is_return = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            self.after_return = is_return && bytes.is_empty();
            if is_return {
                bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
            }
        }
        self.extend_line(bytes)?;
        Ok(events)
    }

    fn extend_line(&mut self, bytes: &[u8]) -> Result<(), EventTooLong> {
        if self.line.len() + self.data.len() + bytes.len() > EVENT_BYTES {
            return Err(EventTooLong);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    /// An empty line ends the event.
    fn end_line(&mut self) -> Result<Option<String>, EventTooLong> {
        let line = std::mem::take(&mut self.line);
        let first = !std::mem::replace(&mut self.past_first_line, true);
        let line = if first { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&line) } else { &line };
        if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            let whole = std::mem::take(&mut self.has_data);
            return Ok(whole.then(|| String::from_utf8_lossy(&data).into_owned()));
        }
        let (field, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &b""[..]),
        };
        if field == b"data" {
            self.add_data(value.strip_prefix(b" ").unwrap_or(value))?;
        }
        Ok(None)
    }

    fn add_data(&mut self, value: &[u8]) -> Result<(), EventTooLong> {
        if self.data.len() + value.len() >= EVENT_BYTES {
            return Err(EventTooLong);
        }
        if self.has_data {
            self.data.push(b'\n');
        }
        self.has_data = true;
        self.data.extend_from_slice(value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(bytes: &[u8]) -> Vec<String> {
        Decoder::default().feed(bytes).unwrap()
    }

    #[test]
    fn events_comments_and_all_three_line_ends() {
        assert_eq!(decode(b"data: a\n\ndata:b\r\n\r\ndata: c\r\r"), ["a", "b", "c"]);
        assert_eq!(decode(b": ping\n\nevent: x\nid: 1\ndata: [DONE]\n\n"), ["[DONE]"]);
        assert_eq!(decode(b"data: one\ndata: two\ndata\n\n"), ["one\ntwo\n"]);
        assert_eq!(decode(b"\xef\xbb\xbfdata:  x\n\n"), [" x"]);
        assert_eq!(decode(b"data: {\"a\":1}\n"), [""; 0], "an event that is not ended is none");
        assert_eq!(decode(b"data: \xff\n\n"), ["\u{fffd}"]);
    }

    #[test]
    fn an_endless_line_or_event_is_an_error_and_costs_no_memory() {
        let mut decoder = Decoder::default();
        let result = (0..10_000).try_for_each(|_| decoder.feed(&[b'x'; 1000]).map(drop));
        assert_eq!(result, Err(EventTooLong));
        let mut decoder = Decoder::default();
        let result = (0..1_000_000).try_for_each(|_| decoder.feed(b"data: x\n").map(drop));
        assert_eq!(result, Err(EventTooLong));
        assert!(decoder.data.capacity() <= 2 * EVENT_BYTES);
        let mut decoder = Decoder::default();
        let result = (0..1_000_000).try_for_each(|_| decoder.feed(b"data\n").map(drop));
        assert_eq!(result, Err(EventTooLong));
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
        fn any_cut_of_the_bytes_gives_the_same_events(bytes in stream(), cuts in prop::collection::vec(0usize..200, 0..20)) {
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut decoder = Decoder::default();
            let mut events = Vec::new();
            for pair in cuts.windows(2) {
                events.extend(decoder.feed(&bytes[pair[0]..pair[1]]).unwrap());
            }
            prop_assert_eq!(events, decode(&bytes));
            let mut decoder = Decoder::default();
            let one_by_one: Vec<_> = bytes.chunks(1).flat_map(|byte| decoder.feed(byte).unwrap()).collect();
            prop_assert_eq!(one_by_one, decode(&bytes));
        }

        #[test]
        fn hostile_bytes_do_no_harm(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..30)) {
            let mut decoder = Decoder::default();
            for chunk in chunks {
                let _ = decoder.feed(&chunk);
            }
        }
    }
}
