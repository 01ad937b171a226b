//! IRC (RFC 2812), private messages between nicks.

use bytes::BytesMut;

use super::{Codec, Incoming, Step, line};
use crate::problem::Result;
use crate::stamp::Stamp;

/// A client.
pub(super) struct Irc;

impl Codec for Irc {
    fn login(&self, name: &str) -> Vec<Step> {
        // 004 is the last reply to a registration in every server.
        vec![Step::new(format!("NICK {name}\r\nUSER {name} 0 * :{name}\r\n"), b" 004 ")]
    }

    fn encode(&mut self, to: &str, body: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(b"PRIVMSG ");
        out.extend_from_slice(to.as_bytes());
        out.extend_from_slice(b" :");
        out.extend_from_slice(body);
        out.extend_from_slice(b"\r\n");
    }

    fn next(&mut self, input: &mut BytesMut, out: &mut Vec<u8>) -> Result<Option<Incoming>> {
        let Some(line) = line::next(input) else { return Ok(None) };
        if let Some(token) = line.strip_prefix(b"PING ") {
            out.extend_from_slice(b"PONG ");
            out.extend_from_slice(token);
            out.extend_from_slice(b"\r\n");
            return Ok(Some(Incoming::Other));
        }
        let command = line.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        match command {
            b"PRIVMSG" => Ok(Some(Stamp::find(&line).map_or(Incoming::Other, Incoming::Delivered))),
            // ERR_NOSUCHNICK, ERR_CANNOTSENDTOCHAN, ERR_TARGETTOOFAST.
            b"401" | b"404" | b"439" => {
                Err(format!("the IRC server says: {}", String::from_utf8_lossy(&line)).into())
            }
            _ if line.starts_with(b"ERROR ") => {
                Err(format!("the IRC server says: {}", String::from_utf8_lossy(&line)).into())
            }
            _ => Ok(Some(Incoming::Other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn private_messages_are_deliveries_and_pings_are_answered() {
        let stamp = Stamp { sender: 1, number: 2, intended: Duration::ZERO };
        let mut input = BytesMut::from("PING :x\r\n:a!~a@h PRIVMSG bob :");
        input.extend_from_slice(&stamp.body());
        input.extend_from_slice(b"\r\n:s 376 bob :End\r\n:s 401 bob c :No such nick\r\nERROR :bye\r\n");
        let mut out = Vec::new();
        let mut next = || Irc.next(&mut input, &mut out);
        assert_eq!(next().unwrap(), Some(Incoming::Other));
        assert_eq!(next().unwrap(), Some(Incoming::Delivered(stamp)));
        assert_eq!(next().unwrap(), Some(Incoming::Other));
        assert!(next().is_err());
        assert!(next().is_err());
        assert_eq!(next().unwrap(), None);
        assert_eq!(out, b"PONG :x\r\n");
    }
}
