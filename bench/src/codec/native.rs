//! Our native dialect: JSON lines, `docs/protocol.md`.
//!
//! Frames are told apart by their first bytes, for a load generator that parses JSON measures its parser.

use std::collections::VecDeque;
use std::io::Write;

use bytes::{Bytes, BytesMut};

use super::{Codec, Incoming, Step, line};
use crate::problem::Result;
use crate::stamp::Stamp;

/// The unanswered messages that a client remembers, more than any window. Overflow rule: the oldest is forgotten, for the sending half of
/// an open loop gets no answers.
const UNANSWERED: usize = 256;
/// A message is sent this often; the server takes about a second for each answer that asks for it again.
const ATTEMPTS: u32 = 20;

/// A native client.
#[derive(Default)]
pub(super) struct Native {
    said: u64,
    unanswered: VecDeque<Unanswered>,
    /// Frames to send again, without newlines.
    again: Vec<Vec<u8>>,
    /// The last event received; a cursor up to it is due.
    last: Option<Bytes>,
}

/// A message that was sent and not answered.
struct Unanswered {
    client_id: u64,
    frame: Vec<u8>,
    attempts: u32,
}

impl Native {
    /// The first frame.
    pub(super) fn hello(name: &str) -> String {
        format!("{{\"type\":\"hello\",\"name\":\"{name}\",\"presence\":false,\"conversations\":false}}")
    }

    /// A `send`, without a newline.
    pub(super) fn send(&mut self, to: &str, body: &[u8], out: &mut Vec<u8>) {
        self.said += 1;
        let begin = out.len();
        write!(out, "{{\"type\":\"send\",\"client_id\":\"{:x}\",\"to\":\"{to}\",\"body\":\"", self.said)
            .expect("memory takes everything");
        out.extend_from_slice(body);
        out.extend_from_slice(b"\"}");
        let sent = Unanswered { client_id: self.said, frame: out[begin..].to_vec(), attempts: 1 };
        self.remember(sent);
    }

    fn remember(&mut self, sent: Unanswered) {
        if self.unanswered.len() == UNANSWERED {
            self.unanswered.pop_front();
        }
        self.unanswered.push_back(sent);
    }

    /// The message that a frame answers. It is nearly always the oldest.
    fn answered(&mut self, frame: &[u8]) -> Option<Unanswered> {
        let client_id = u64::from_str_radix(between(frame, b"\"client_id\":\"", b'"')?, 16).ok()?;
        let at = self.unanswered.iter().position(|sent| sent.client_id == client_id)?;
        self.unanswered.remove(at)
    }

    /// A message that was not stored in time is sent again with the same id, as the protocol asks; messages behind it are answered alike,
    /// in order. Returns whether `frame` asked for that.
    fn sends_again(&mut self, frame: &[u8]) -> bool {
        if memchr::memmem::find(frame, b"\"code\":\"retry\"").is_none() {
            return false;
        }
        match self.answered(frame) {
            Some(sent) if sent.attempts < ATTEMPTS => {
                self.again.push(sent.frame.clone());
                self.remember(Unanswered { attempts: sent.attempts + 1, ..sent });
                true
            }
            Some(_) | None => false,
        }
    }

    /// The frames that are due to be sent again, in order.
    pub(super) fn again(&mut self) -> impl Iterator<Item = Vec<u8>> {
        self.again.drain(..)
    }

    /// Interprets a frame.
    pub(super) fn read(&mut self, frame: Bytes) -> Result<Incoming> {
        if frame.starts_with(b"{\"type\":\"ack\"") {
            self.answered(&frame);
            return Ok(Incoming::Acknowledged(1));
        }
        if frame.starts_with(b"{\"type\":\"event\"") {
            let stamp = Stamp::find(&frame);
            self.last = Some(frame);
            return Ok(stamp.map_or(Incoming::Other, Incoming::Delivered));
        }
        if frame.starts_with(b"{\"type\":\"error\"") && self.sends_again(&frame) {
            return Ok(Incoming::Other);
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
        for frame in self.again() {
            out.extend_from_slice(&frame);
            out.push(b'\n');
        }
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

    #[test]
    fn what_was_not_stored_in_time_is_sent_again_in_order_and_not_forever() {
        let (mut native, mut sent, mut again) = (Native::default(), Vec::new(), Vec::new());
        native.encode("bob", b"one", &mut sent);
        native.encode("bob", b"two", &mut sent);
        let retry = |id: u64| format!("{{\"type\":\"error\",\"code\":\"retry\",\"client_id\":\"{id:x}\"}}\n");
        let mut hear = |text: &str, out: &mut Vec<u8>| {
            let mut input = BytesMut::from(text);
            while let Some(incoming) = native.next(&mut input, out)? {
                assert!(matches!(incoming, Incoming::Other | Incoming::Acknowledged(1)));
            }
            native.taken(out);
            Result::Ok(())
        };
        hear(&(retry(1) + &retry(2)), &mut again).unwrap();
        assert_eq!(again, sent);
        again.clear();
        hear("{\"type\":\"ack\",\"client_id\":\"1\"}\n", &mut again).unwrap();
        hear(&retry(1), &mut again).unwrap_err();
        for _ in 2..ATTEMPTS {
            hear(&retry(2), &mut again).unwrap();
        }
        hear(&retry(2), &mut again).unwrap_err();
    }
}
