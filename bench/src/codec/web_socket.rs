//! The native dialect over a WebSocket (RFC 6455), as browsers use it with the web adapter.

use bytes::{Buf, Bytes, BytesMut};

use super::native::Native;
use super::{Codec, Incoming, Step};
use crate::problem::Result;

/// The `Host` header; the adapter listens on loopback.
const HOST: &str = "127.0.0.1";
const TEXT: u8 = 0x81;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;
const CLOSE: u8 = 0x88;
const MASKED: u8 = 0x80;
/// A mask of zeros is valid, and leaves the payload unchanged.
const MASK: [u8; 4] = [0; 4];

/// A browser.
#[derive(Default)]
pub(super) struct WebSocket {
    native: Native,
    frame: Vec<u8>,
}

impl Codec for WebSocket {
    fn login(&self, name: &str) -> Vec<Step> {
        let upgrade = format!(
            "GET /ws HTTP/1.1\r\nHost: {HOST}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        let mut hello = Vec::new();
        frame(TEXT, Native::hello(name).as_bytes(), &mut hello);
        // The `welcome` is within a WebSocket frame, which is decoded like any other.
        let welcome = Step { send: hello, until: b"\"type\":\"welcome\"", stays: true };
        vec![Step::new(upgrade, b"\r\n\r\n"), welcome]
    }

    fn encode(&mut self, to: &str, body: &[u8], out: &mut Vec<u8>) {
        self.frame.clear();
        self.native.send(to, body, &mut self.frame);
        frame(TEXT, &self.frame, out);
    }

    fn next(&mut self, input: &mut BytesMut, out: &mut Vec<u8>) -> Result<Option<Incoming>> {
        let Some((kind, payload)) = take(input) else { return Ok(None) };
        match kind {
            TEXT => self.native.read(payload).map(Some),
            PING => {
                frame(PONG, &payload, out);
                Ok(Some(Incoming::Other))
            }
            CLOSE => Err("the web adapter closed the WebSocket".into()),
            _ => Err(format!("a WebSocket frame of kind {kind:#x}").into()),
        }
    }

    fn taken(&mut self, out: &mut Vec<u8>) {
        for again in self.native.again() {
            frame(TEXT, &again, out);
        }
        if let Some(seen) = self.native.seen() {
            frame(TEXT, seen.as_bytes(), out);
        }
    }
}

/// Encodes a client's frame.
fn frame(kind: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    match u16::try_from(payload.len()) {
        Ok(length) if length < 126 => out.push(MASKED | length.to_be_bytes()[1]),
        Ok(length) => {
            out.push(MASKED | 126);
            out.extend_from_slice(&length.to_be_bytes());
        }
        Err(_) => {
            out.push(MASKED | 127);
            out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK);
    out.extend_from_slice(payload);
}

/// The next complete frame of a server, which is not masked.
fn take(input: &mut BytesMut) -> Option<(u8, Bytes)> {
    let (head, length) = match *input.get(1)? {
        126 => (4, u16::from_be_bytes(input.get(2..4)?.try_into().ok()?).into()),
        127 => (10, usize::try_from(u64::from_be_bytes(input.get(2..10)?.try_into().ok()?)).ok()?),
        length => (2, length.into()),
    };
    if input.len() - head < length {
        return None;
    }
    let kind = input[0];
    input.advance(head);
    Some((kind, input.split_to(length).freeze()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn from_server(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind];
        match payload.len() {
            length @ ..126 => bytes.push(u8::try_from(length).unwrap()),
            length @ ..65536 => {
                bytes.push(126);
                bytes.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
            }
            length => {
                bytes.push(127);
                bytes.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn a_clients_frame_is_these_bytes() {
        let mut out = Vec::new();
        frame(TEXT, b"Hello", &mut out);
        assert_eq!(out, b"\x81\x85\0\0\0\0Hello");
        out.clear();
        frame(TEXT, &[b'x'; 126], &mut out);
        assert_eq!(&out[..8], b"\x81\xfe\x00\x7e\0\0\0\0");
    }

    #[test]
    fn a_ping_is_answered_with_what_it_holds() {
        let mut input = BytesMut::from(&from_server(PING, b"abc")[..]);
        let mut out = Vec::new();
        assert_eq!(WebSocket::default().next(&mut input, &mut out).unwrap(), Some(Incoming::Other));
        assert_eq!(out, b"\x8a\x83\0\0\0\0abc");
    }

    proptest! {
        #[test]
        fn frames_are_taken_whole_however_they_arrive(length in 0_usize..70_000, cut in 0_usize..70_020) {
            let bytes = from_server(TEXT, &vec![b'x'; length]);
            let cut = cut.min(bytes.len() - 1);
            let mut input = BytesMut::from(&bytes[..cut]);
            prop_assert_eq!(take(&mut input), None);
            input.extend_from_slice(&bytes[cut..]);
            let (kind, payload) = take(&mut input).unwrap();
            prop_assert!(kind == TEXT && payload.len() == length && input.is_empty());
        }
    }
}
