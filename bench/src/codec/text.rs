//! The text dialect.
//!
//! A message to an offline recipient is answered with `User 'x' is offline. Message saved.` once it is durable. A message to an online
//! recipient is not answered; its delivery implies that it is durable.

use bytes::BytesMut;
use protocol::text::PROMPT;

use super::{Codec, Incoming, Step, line};
use crate::problem::Result;
use crate::stamp::Stamp;

/// A line client.
pub(super) struct Text;

impl Codec for Text {
    fn login(&self, name: &str) -> Vec<Step> {
        vec![Step::new("", PROMPT.as_bytes()), Step::new(format!("{name}\n"), b"Connected! Users online:")]
    }

    fn encode(&mut self, to: &str, body: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(to.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(body);
        out.push(b'\n');
    }

    fn next(&mut self, input: &mut BytesMut, _out: &mut Vec<u8>) -> Result<Option<Incoming>> {
        let Some(line) = line::next(input) else { return Ok(None) };
        if line.starts_with(b"[") {
            return Ok(Some(Stamp::find(&line).map_or(Incoming::Other, Incoming::Delivered)));
        }
        if line.ends_with(b" is offline. Message saved.") {
            return Ok(Some(Incoming::Acknowledged(1)));
        }
        // The names of the users online, after the greeting.
        if line.starts_with(b" ") {
            return Ok(Some(Incoming::Other));
        }
        Err(format!("the chat server says: {}", String::from_utf8_lossy(&line)).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn lines_mean_what_they_say() {
        let stamp = Stamp { sender: 1, number: 2, intended: Duration::from_nanos(3) };
        let mut said = Vec::new();
        Text.encode("bob", &stamp.body(), &mut said);
        assert!(said.starts_with(b"bob: $00000001000000020000") && said.ends_with(b".\n"));
        let mut input = BytesMut::from(" a, b\nUser 'bob' is offline. Message saved.\n[a][T] ");
        input.extend_from_slice(&stamp.body());
        input.extend_from_slice(b"\n[Stored] [CHAT][T][a] ");
        input.extend_from_slice(&stamp.body());
        input.extend_from_slice(b" \nInvalid format.\n");
        let mut next = || Text.next(&mut input, &mut Vec::new());
        assert_eq!(next().unwrap(), Some(Incoming::Other));
        assert_eq!(next().unwrap(), Some(Incoming::Acknowledged(1)));
        assert_eq!(next().unwrap(), Some(Incoming::Delivered(stamp)));
        assert_eq!(next().unwrap(), Some(Incoming::Delivered(stamp)));
        assert!(next().unwrap_err().to_string().ends_with("Invalid format."));
        assert_eq!(next().unwrap(), None);
    }
}
