//! Frames over a stream. Input is bounded by the longest frame, output by [`MAX_OUT`]; above it nothing more is read, so that a peer that
//! does not read our answers cannot cause more.

use protocol::lan::frame::{Frame, FrameError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

/// Most bytes waiting to be written.
pub(super) const MAX_OUT: usize = 256 * 1024;
/// Bytes per read.
const CHUNK: usize = 16 * 1024;

/// Both directions of a stream.
#[derive(Debug)]
pub(super) struct Wire<S> {
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    input: Vec<u8>,
    taken: usize,
    output: Vec<u8>,
    is_flushed: bool,
}

/// What a turn did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Read,
    Written,
}

impl<S: AsyncRead + AsyncWrite> Wire<S> {
    pub(super) fn new(stream: S) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self { reader, writer, input: Vec::new(), taken: 0, output: Vec::new(), is_flushed: true }
    }

    /// Appends a frame to the output.
    pub(super) fn push(&mut self, frame: &Frame) {
        self.output.extend_from_slice(&frame.to_bytes());
    }

    /// The number of bytes waiting to be written.
    pub(super) fn waiting(&self) -> usize {
        self.output.len()
    }

    /// The next complete frame of the input.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some((frame, length)) = Frame::take(&self.input[self.taken..])? else {
            self.input.drain(..self.taken);
            self.taken = 0;
            return Ok(None);
        };
        self.taken += length;
        Ok(Some(frame))
    }

    /// Reads or writes once, whichever is possible first. Cancel-safe. Call [`Self::next`] until it returns nothing before the next turn.
    pub(super) async fn turn(&mut self) -> std::io::Result<Turn> {
        let Self { reader, writer, input, output, is_flushed, .. } = self;
        input.reserve(CHUNK);
        let (may_read, must_write) = (output.len() < MAX_OUT, !output.is_empty() || !*is_flushed);
        tokio::select! {
            read = reader.read_buf(input), if may_read => match read? {
                0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(Turn::Read),
            },
            written = write(writer, output), if must_write => {
                let written = written?;
                output.drain(..written);
                *is_flushed = written == 0;
                Ok(Turn::Written)
            }
        }
    }
}

/// Writes part of the output, or flushes if there is none.
async fn write<S: AsyncRead + AsyncWrite>(writer: &mut WriteHalf<S>, bytes: &[u8]) -> std::io::Result<usize> {
    if bytes.is_empty() {
        writer.flush().await?;
        return Ok(0);
    }
    match writer.write(bytes).await? {
        0 => Err(std::io::ErrorKind::WriteZero.into()),
        length => Ok(length),
    }
}
