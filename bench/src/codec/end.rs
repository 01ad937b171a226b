//! One end of a conversation with a system, in whatever protocol.

use bytes::BytesMut;

use crate::problem::Result;
use crate::stamp::Stamp;

/// One end of a conversation with a system.
pub trait Codec: Send + Sync {
    /// What is sent, and waited for, until messages flow.
    fn login(&self, name: &str) -> Vec<Step>;

    /// Says `body` to `to`.
    fn say(&mut self, to: &str, body: &[u8], out: &mut Vec<u8>);

    /// Takes the next whole thing out of what came in. What must be answered at once is put into `out`.
    ///
    /// # Errors
    /// When the system refuses something, or is not understood.
    fn next(&mut self, input: &mut BytesMut, out: &mut Vec<u8>) -> Result<Option<Incoming>>;

    /// Everything that came in has been taken: acknowledges it, where that is done for many at once.
    fn taken(&mut self, _out: &mut Vec<u8>) {}
}

/// One step of a login.
#[derive(Debug)]
pub struct Step {
    /// Is sent first.
    pub say: Vec<u8>,
    /// Is waited for then.
    pub until: &'static [u8],
    /// Whether it stays for the codec to read. Otherwise everything up to its end is passed over.
    pub stays: bool,
}

impl Step {
    pub(super) fn new(say: impl Into<Vec<u8>>, until: &'static [u8]) -> Self {
        Self { say: say.into(), until, stays: false }
    }
}

/// What came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incoming {
    /// The system has taken so many messages into its care.
    Acknowledged(u32),
    /// A message.
    Delivered(Stamp),
    /// Something that is of no interest here.
    Other,
}
