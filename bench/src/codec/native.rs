//! Our native dialect: JSON lines, `docs/protocol.md`.
//!
//! Frames are told apart by their first bytes, for a load generator that parses JSON measures its parser.

use std::io::Write;

use bytes::{Bytes, BytesMut};

use super::{Codec, Incoming, Step, line};
use crate::problem::Result;
use crate::stamp::Stamp;

/// A native client.
#[derive(Default)]
pub(super) struct Native {
    said: u64,
    /// The last event received; a cursor up to it is due.
    last: Option<Bytes>,
}

impl Native {
    /// The first frame.
    pub(super) fn hello(name: &str) -> String {
        format!("{{\"type\":\"hello\",\"name\":\"{name}\",\"presence\":false,\"conversations\":false}}")
    }

    /// A `send`, without a newline.
    pub(super) fn send(&mut self, to: &str, body: &[u8], out: &mut Vec<u8>) {
        self.said += 1;
        write!(out, "{{\"type\":\"send\",\"client_id\":\"{:x}\",\"to\":\"{to}\",\"body\":\"", self.said)
            .expect("memory takes everything");
        out.extend_from_slice(body);
        out.extend_from_slice(b"\"}");
    }

    /// Interprets a frame.
    pub(super) fn read(&mut self, frame: Bytes) -> Result<Incoming> {
        if frame.starts_with(b"{\"type\":\"ack\"") {
            return Ok(Incoming::Acknowledged(1));
        }
        if frame.starts_with(b"{\"type\":\"event\"") {
            let stamp = Stamp::find(&frame);
            self.last = Some(frame);
            return Ok(stamp.map_or(Incoming::Other, Incoming::Delivered));
        }
        if frame.starts_with(b"{\"type\":\"error\"") || frame.starts_with(b"{\"type\":\"bye\"") {
            return Err(format!("the chat server says: {}", String::from_utf8_lossy(&frame)).into());
        }
        Ok(Incoming::Other)
    }

    /// The `seen` that is due, without a newline.
    pub(super) fn seen(&mut self) -> Option<String> {
        let last = self.last.take()?;
        let conversation = between(&last, b"\"conversation\":\"", b'"')?;
        let seq = between(&last, b"\"seq\":", b',')?;
        Some(format!("{{\"type\":\"seen\",\"conversation\":\"{conversation}\",\"seq\":{seq}}}"))
    }
}

fn between<'a>(frame: &'a [u8], before: &[u8], after: u8) -> Option<&'a str> {
    let begin = memchr::memmem::find(frame, before)? + before.len();
    let end = begin + memchr::memchr(after, &frame[begin..])?;
    std::str::from_utf8(&frame[begin..end]).ok()
}

impl Codec for Native {
    fn login(&self, name: &str) -> Vec<Step> {
        vec![Step::new(format!("{}\n", Self::hello(name)), b"\"type\":\"welcome\"")]
    }

    fn encode(&mut self, to: &str, body: &[u8], out: &mut Vec<u8>) {
        self.send(to, body, out);
        out.push(b'\n');
    }

    fn next(&mut self, input: &mut BytesMut, _out: &mut Vec<u8>) -> Result<Option<Incoming>> {
        let Some(line) = line::next(input) else { return Ok(None) };
        self.read(line).map(Some)
    }

    fn taken(&mut self, out: &mut Vec<u8>) {
        if let Some(seen) = self.seen() {
            out.extend_from_slice(seen.as_bytes());
            out.push(b'\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_sent_is_json_and_ids_are_never_used_twice() {
        let mut native = Native::default();
        let mut out = Vec::new();
        native.encode("bob", b"hi", &mut out);
        native.encode("bob", b"hi", &mut out);
        let lines = String::from_utf8(out).unwrap();
        let ids: Vec<String> = lines
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["client_id"].to_string())
            .collect();
        assert!(ids.len() == 2 && ids[0] != ids[1]);
    }

    #[test]
    fn the_last_event_of_a_batch_is_seen_once() {
        let stamp = Stamp { sender: 1, number: 2, intended: Duration::from_nanos(3) };
        let body = stamp.body();
        let body = std::str::from_utf8(&body).unwrap();
        let mut input = BytesMut::from(
            format!(
                "{{\"type\":\"ack\",\"client_id\":\"1\"}}\n\
                 {{\"type\":\"event\",\"event\":{{\"conversation\":\"dm:a:b\",\"seq\":7,\"body\":\"{body}\"}}}}\n{{\"type\":"
            )
            .as_str(),
        );
        let (mut native, mut out) = (Native::default(), Vec::new());
        assert_eq!(native.next(&mut input, &mut out).unwrap(), Some(Incoming::Acknowledged(1)));
        assert_eq!(native.next(&mut input, &mut out).unwrap(), Some(Incoming::Delivered(stamp)));
        assert_eq!(native.next(&mut input, &mut out).unwrap(), None);
        native.taken(&mut out);
        native.taken(&mut out);
        assert_eq!(out, b"{\"type\":\"seen\",\"conversation\":\"dm:a:b\",\"seq\":7}\n");
        assert!(native.read(Bytes::from_static(b"{\"type\":\"error\",\"code\":\"retry\"}")).is_err());
    }
}
