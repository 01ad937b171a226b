//! Frames between two nodes inside their encrypted connection: JSON, preceded by its length as four bytes, big-endian.
//!
//! Both sides start with `hello`. Then each sends its messages in the order of their `seq`, which has no gaps within one recipient and one
//! `stream`. The recipient accepts only the next `seq`, and acknowledges with `ack` all messages up to a `seq` once they are on disk.

use serde::{Deserialize, Serialize};

use crate::limits::LINE_BYTES;
use crate::{Body, Timestamp};

/// The protocol version in `hello`.
pub const VERSION: u32 = 1;
/// Longest frame in bytes, without the length prefix.
pub const FRAME_BYTES: usize = LINE_BYTES;
/// Longest display name of a node, in bytes.
pub const NAME_BYTES: usize = 64;
/// Size of the length prefix in bytes.
const HEAD: usize = 4;

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Frame {
    /// The first frame in each direction.
    Hello {
        /// [`VERSION`].
        version: u32,
        /// The sender's display name.
        name: String,
        /// The TCP port at which the sender can be dialled.
        port: u16,
        /// Identifies the numbering of the sender's messages to this recipient; a new one is chosen when the old one is lost.
        stream: u64,
        /// The lowest `seq` that is not acknowledged.
        first: u64,
    },
    /// Acknowledges all messages of `stream` up to `seq` as stored on disk; 0 means none.
    Ack {
        /// The `stream` of the acknowledged messages.
        stream: u64,
        /// The last stored message.
        seq: u64,
    },
    /// A message.
    Message {
        /// Its number in the sender's stream.
        seq: u64,
        /// Its permanent id.
        id: uuid::Uuid,
        /// When it was written, by the sender's clock.
        sent: Timestamp,
        /// Its text.
        body: Body,
    },
    /// Keepalive request.
    Ping,
    /// Keepalive response.
    Pong,
    /// A frame of a later version; ignored.
    #[serde(other)]
    Unknown,
}

/// A malformed frame.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The length exceeds [`FRAME_BYTES`].
    #[error("a frame of {0} bytes, which is more than {FRAME_BYTES}")]
    TooLong(usize),
    /// The content is not a valid frame.
    #[error("not a frame")]
    Json(#[from] serde_json::Error),
}

impl Frame {
    /// Serialises the frame with its length prefix.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; HEAD];
        serde_json::to_writer(&mut bytes, self).expect("a frame can be written as JSON");
        let length = u32::try_from(bytes.len() - HEAD).expect("a body is bounded, and so is a frame");
        bytes[..HEAD].copy_from_slice(&length.to_be_bytes());
        bytes
    }

    /// Parses the first frame of a buffer and returns it with the number of bytes used; `None` if it is incomplete.
    ///
    /// # Errors
    /// When the frame is malformed, as soon as that can be seen. A length over the limit allocates nothing.
    pub fn take(buffer: &[u8]) -> Result<Option<(Self, usize)>, FrameError> {
        let Some((head, rest)) = buffer.split_first_chunk::<HEAD>() else { return Ok(None) };
        let length = usize::try_from(u32::from_be_bytes(*head)).unwrap_or(usize::MAX);
        if length > FRAME_BYTES {
            return Err(FrameError::TooLong(length));
        }
        let Some(json) = rest.get(..length) else { return Ok(None) };
        Ok(Some((serde_json::from_slice(json)?, HEAD + length)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_bytes_are_these() {
        let ack = Frame::Ack { stream: 7, seq: 3 };
        assert_eq!(ack.to_bytes(), b"\0\0\0!{\"type\":\"ack\",\"stream\":7,\"seq\":3}");
        let later = br#"{"type":"wave","hands":2}"#;
        let bytes = [&u32::try_from(later.len()).unwrap().to_be_bytes()[..], later].concat();
        assert_eq!(Frame::take(&bytes).unwrap(), Some((Frame::Unknown, bytes.len())));
    }

    #[test]
    fn a_length_that_is_too_long_is_refused_at_once() {
        assert!(matches!(Frame::take(&[0xff; 4]), Err(FrameError::TooLong(_))));
        assert!(matches!(Frame::take(&[0, 0]), Ok(None)));
    }

    proptest! {
        #[test]
        fn a_message_reads_back_however_it_is_cut(text in "\\PC{1,200}", seq: u64, cut in 0usize..100) {
            if let Ok(body) = Body::parse(&text) {
                let sent = Timestamp::from_micros(1_763_683_284_510_000);
                let frame = Frame::Message { seq, id: uuid::Uuid::nil(), sent, body };
                let bytes = frame.to_bytes();
                prop_assert!(Frame::take(&bytes[..cut.min(bytes.len() - 1)]).unwrap().is_none());
                prop_assert_eq!(Frame::take(&bytes).unwrap(), Some((frame, bytes.len())));
            }
        }

        #[test]
        fn hostile_bytes_do_not_panic(bytes: Vec<u8>) {
            let _ = Frame::take(&bytes);
            let framed = [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], &bytes].concat();
            let _ = Frame::take(&framed);
        }
    }
}
