//! Frames over a stream. What is read is bounded by the longest frame, what is to be written by [`MAX_OUT`], beyond which nothing more
//! is read: whoever does not take our answers is not asked for more.

use protocol::lan::frame::{Frame, FrameError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

/// Bytes that may wait to be written.
pub(super) const MAX_OUT: usize = 256 * 1024;
/// Bytes read at once.
const CHUNK: usize = 16 * 1024;

/// Both directions of a stream.
#[derive(Debug)]
pub(super) struct Wire<S> {
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    came: Vec<u8>,
    taken: usize,
    goes: Vec<u8>,
    is_flushed: bool,
}

/// What a turn has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Read,
    Written,
}

impl<S: AsyncRead + AsyncWrite> Wire<S> {
    pub(super) fn new(stream: S) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self { reader, writer, came: Vec::new(), taken: 0, goes: Vec::new(), is_flushed: true }
    }

    /// Puts a frame behind what is to be written.
    pub(super) fn push(&mut self, frame: &Frame) {
        self.goes.extend_from_slice(&frame.to_bytes());
    }

    /// Bytes that wait to be written.
    pub(super) fn waiting(&self) -> usize {
        self.goes.len()
    }

    /// The next whole frame of what was read.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some((frame, length)) = Frame::take(&self.came[self.taken..])? else {
            self.came.drain(..self.taken);
            self.taken = 0;
            return Ok(None);
        };
        self.taken += length;
        Ok(Some(frame))
    }

    /// Reads or writes once, whichever can be done first. Nothing is lost when it is given up. Call [`Self::next`] until there is
    /// nothing before the next turn.
    pub(super) async fn turn(&mut self) -> std::io::Result<Turn> {
        let Self { reader, writer, came, goes, is_flushed, .. } = self;
        came.reserve(CHUNK);
        let (may_read, must_write) = (goes.len() < MAX_OUT, !goes.is_empty() || !*is_flushed);
        tokio::select! {
            read = reader.read_buf(came), if may_read => match read? {
                0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(Turn::Read),
            },
            written = write(writer, goes), if must_write => {
                let written = written?;
                goes.drain(..written);
                *is_flushed = written == 0;
                Ok(Turn::Written)
            }
        }
    }
}

/// Writes some of it, or hands over what was written when there is nothing more.
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
