//! The writing half of a connection: writes frames as fast as the server reads.

use std::io::{Error, ErrorKind, Result};

use bytes::{BufMut, BytesMut};
use protocol::native::ClientFrame;
use tokio::io::AsyncWriteExt;

use crate::tls::Output;

/// Most bytes buffered for a server that does not read. Enough for one system call to carry many messages.
const AHEAD: usize = 64 * 1024;

/// The output to the server.
///
/// Bound: [`AHEAD`] bytes and one frame. Overflow rule: callers wait for [`Writer::has_room`].
pub(super) struct Writer {
    half: Output,
    buffer: BytesMut,
    is_flushed: bool,
}

impl Writer {
    pub(super) fn new(half: Output) -> Self {
        Self { half, buffer: BytesMut::new(), is_flushed: true }
    }

    pub(super) fn has_room(&self) -> bool {
        self.buffer.len() < AHEAD
    }

    /// Whether the kernel has accepted everything.
    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty() && self.is_flushed
    }

    pub(super) fn push(&mut self, frame: &ClientFrame) {
        let mut writer = (&mut self.buffer).writer();
        serde_json::to_writer(&mut writer, frame).expect("frames serialise into memory");
        self.buffer.put_u8(b'\n');
        self.is_flushed = false;
    }

    /// Writes what the kernel accepts now. Cancel-safe.
    pub(super) async fn write(&mut self) -> Result<()> {
        if !self.buffer.is_empty() && self.half.write_buf(&mut self.buffer).await? == 0 {
            return Err(Error::new(ErrorKind::WriteZero, "the server takes nothing more"));
        }
        if self.buffer.is_empty() {
            // An encrypted record may be held back until then.
            self.half.flush().await?;
            self.is_flushed = true;
        }
        Ok(())
    }

    /// Shuts down the output.
    pub(super) async fn shutdown(&mut self) -> Result<()> {
        self.half.shutdown().await
    }
}
