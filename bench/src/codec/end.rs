//! The client side of a protocol.

use bytes::BytesMut;

use crate::problem::Result;
use crate::stamp::Stamp;

/// The client side of a protocol.
pub trait Codec: Send + Sync {
    /// The steps of the login: what to send, and what to wait for.
    fn login(&self, name: &str) -> Vec<Step>;

    /// Encodes a message with `body` to `to`.
    fn encode(&mut self, to: &str, body: &[u8], out: &mut Vec<u8>);

    /// Decodes the next complete unit of the input. Immediate answers are appended to `out`.
    ///
    /// # Errors
    /// If the system rejects something, or its input is malformed.
    fn next(&mut self, input: &mut BytesMut, out: &mut Vec<u8>) -> Result<Option<Incoming>>;

    /// All input was decoded: acknowledges it, in protocols that acknowledge several messages at once.
    fn taken(&mut self, _out: &mut Vec<u8>) {}
}

/// One step of a login.
#[derive(Debug)]
pub struct Step {
    /// Sent first.
    pub send: Vec<u8>,
    /// Awaited afterwards.
    pub until: &'static [u8],
    /// Whether the awaited input remains for the codec. Otherwise it is skipped.
    pub stays: bool,
}

impl Step {
    pub(super) fn new(send: impl Into<Vec<u8>>, until: &'static [u8]) -> Self {
        Self { send: send.into(), until, stays: false }
    }
}

/// A decoded unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incoming {
    /// The system has acknowledged this many messages.
    Acknowledged(u32),
    /// A message.
    Delivered(Stamp),
    /// Anything irrelevant to the benchmark.
    Other,
}
