//! What two of our nodes say inside their encrypted connection: JSON, each frame after its length in four bytes, big end first.
//!
//! Both begin with `hello`. Then each sends its messages in the order of their `seq`, which is dense for one receiver and one
//! `stream`; the receiver answers `ack` for all up to a `seq` once they are on its disk, and takes only the one that comes next.

use serde::{Deserialize, Serialize};

use crate::limits::LINE_BYTES;
use crate::{Body, Timestamp};

/// The version that `hello` says.
pub const VERSION: u32 = 1;
/// Longest frame, its length not counted.
pub const FRAME_BYTES: usize = LINE_BYTES;
/// Longest name that a node gives itself, in bytes.
pub const NAME_BYTES: usize = 64;
/// The bytes of the length.
const HEAD: usize = 4;

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Frame {
    /// The first frame of both.
    Hello {
        /// [`VERSION`].
        version: u32,
        /// What the sender calls itself.
        name: String,
        /// The TCP port at which the sender can be dialled.
        port: u16,
        /// Which numbering of the sender's messages to you this is; made anew when the old one is lost.
        stream: u64,
        /// The lowest `seq` that the sender still has to send; everything below was acknowledged once.
        first: u64,
    },
    /// What of your messages is on my disk: all of `stream` up to `seq`; 0 is none.
    Ack {
        /// The numbering.
        stream: u64,
        /// The last one.
        seq: u64,
    },
    /// A message.
    Message {
        /// Its place in the sender's numbering.
        seq: u64,
        /// Its id, the same for ever.
        id: uuid::Uuid,
        /// When it was written, by the sender's clock.
        sent: Timestamp,
        /// Its text.
        body: Body,
    },
    /// Are you there?
    Ping,
    /// I am.
    Pong,
    /// Something that a later version says; it is passed over.
    #[serde(other)]
    Unknown,
}

/// Bytes that are no frame.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The length says more than [`FRAME_BYTES`].
    #[error("a frame of {0} bytes, which is more than {FRAME_BYTES}")]
    TooLong(usize),
    /// What is inside is not a frame.
    #[error("not a frame")]
    Json(#[from] serde_json::Error),
}

impl Frame {
    /// Its bytes, the length first.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; HEAD];
        serde_json::to_writer(&mut bytes, self).expect("a frame can be written as JSON");
        let length = u32::try_from(bytes.len() - HEAD).expect("a body is bounded, and so is a frame");
        bytes[..HEAD].copy_from_slice(&length.to_be_bytes());
        bytes
    }

    /// The first frame of a buffer and how many bytes it took; `None` when there is not all of it yet.
    ///
    /// # Errors
    /// When the bytes are no frame, as soon as that is plain; nothing is set aside for a length that is too long.
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
        fn whatever_comes_is_survived(bytes: Vec<u8>) {
            let _ = Frame::take(&bytes);
            let framed = [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], &bytes].concat();
            let _ = Frame::take(&framed);
        }
    }
}
