//! NATS core: text lines and payloads of a given length. A user's subject is the user's name.

use std::io::Write;

use bytes::{Buf, BytesMut};

use super::{Codec, Incoming, Step, line};
use crate::problem::Result;
use crate::stamp::Stamp;

/// A client.
pub(super) struct Nats;

impl Codec for Nats {
    fn login(&self, name: &str) -> Vec<Step> {
        let hello = format!("CONNECT {{\"verbose\":false,\"pedantic\":false}}\r\nSUB {name} 1\r\nPING\r\n");
        vec![Step::new("", b"INFO "), Step::new(hello, b"PONG\r\n")]
    }

    fn encode(&mut self, to: &str, body: &[u8], out: &mut Vec<u8>) {
        write!(out, "PUB {to} {}\r\n", body.len()).expect("memory takes everything");
        out.extend_from_slice(body);
        out.extend_from_slice(b"\r\n");
    }

    fn next(&mut self, input: &mut BytesMut, out: &mut Vec<u8>) -> Result<Option<Incoming>> {
        if input.starts_with(b"MSG ") {
            return message(input);
        }
        let Some(line) = line::next(input) else { return Ok(None) };
        match &line[..] {
            b"PING" => out.extend_from_slice(b"PONG\r\n"),
            b"PONG" | b"+OK" => {}
            line if line.starts_with(b"INFO ") => {}
            line => return Err(format!("nats-server says: {}", String::from_utf8_lossy(line)).into()),
        }
        Ok(Some(Incoming::Other))
    }
}

/// `MSG subject sid length`, a newline, the payload, a newline.
fn message(input: &mut BytesMut) -> Result<Option<Incoming>> {
    let Some(end) = memchr::memchr(b'\n', input) else { return Ok(None) };
    let length = std::str::from_utf8(&input[..end])?.trim_end().rsplit(' ').next().unwrap_or_default();
    let length: usize = length.parse()?;
    let whole = end + 1 + length + 2;
    if input.len() < whole {
        return Ok(None);
    }
    let stamp = Stamp::find(&input[end + 1..whole]);
    input.advance(whole);
    Ok(Some(stamp.map_or(Incoming::Other, Incoming::Delivered)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_message_is_counted_bytes_and_pings_are_answered() {
        let stamp = Stamp { sender: 1, number: 2, intended: Duration::ZERO };
        let mut said = Vec::new();
        Nats.encode("bob", &stamp.body(), &mut said);
        assert!(said.starts_with(b"PUB bob 64\r\n$0000"));
        let mut input = BytesMut::from("PING\r\nMSG bob 1 64\r\n");
        let mut out = Vec::new();
        assert_eq!(Nats.next(&mut input, &mut out).unwrap(), Some(Incoming::Other));
        assert_eq!(out, b"PONG\r\n");
        assert_eq!(Nats.next(&mut input, &mut out).unwrap(), None);
        input.extend_from_slice(&stamp.body());
        input.extend_from_slice(b"\r");
        assert_eq!(Nats.next(&mut input, &mut out).unwrap(), None);
        input.extend_from_slice(b"\n-ERR 'no'\r\n");
        assert_eq!(Nats.next(&mut input, &mut out).unwrap(), Some(Incoming::Delivered(stamp)));
        assert!(Nats.next(&mut input, &mut out).is_err());
    }
}
