//! The stream of committed events out of the message API: one request whose answer does not end.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::BytesMut;
use protocol::api::FeedFrame;
use reqwest::Response;

use crate::api::ApiError;

/// The message API sends a heartbeat every five seconds; three missed ones mean that nobody is there.
const SILENCE: Duration = Duration::from_secs(16);
/// Longer than any event's line: body and metadata with every byte escaped, and the rest.
const LINE_LIMIT: usize = 512 * 1024;

/// An open feed.
///
/// Bound: one network chunk and the frames parsed from it are held; while the caller does not ask, nothing more is read.
#[derive(Debug)]
pub struct Feed {
    response: Response,
    rest: BytesMut,
    frames: VecDeque<FeedFrame>,
}

/// Why a feed ended. Opening it again at the last position goes on without a gap, or says that it cannot.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// It could not be opened.
    #[error("open the feed")]
    Open(#[from] ApiError),
    /// The connection broke.
    #[error("read the feed")]
    Broken(#[source] reqwest::Error),
    /// The message API ended it: it stops, or we were too slow.
    #[error("the message API closed the feed")]
    Closed,
    /// Nothing came, not even a heartbeat.
    #[error("the feed fell silent")]
    Silent,
    /// A line is not a frame.
    #[error("understand the feed")]
    Malformed(#[source] serde_json::Error),
    /// A line has no end.
    #[error("the feed sent a line of more than {LINE_LIMIT} bytes")]
    TooLong,
}

impl Feed {
    pub(crate) fn new(response: Response) -> Self {
        Self { response, rest: BytesMut::new(), frames: VecDeque::new() }
    }

    /// The next frame; the first one is `Start`.
    ///
    /// # Errors
    /// See [`FeedError`]. After one the feed is over.
    pub async fn next(&mut self) -> Result<FeedFrame, FeedError> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return Ok(frame);
            }
            self.read_chunk().await?;
        }
    }

    /// A frame that is there already, without waiting.
    pub fn next_now(&mut self) -> Option<FeedFrame> {
        self.frames.pop_front()
    }

    async fn read_chunk(&mut self) -> Result<(), FeedError> {
        let chunk =
            tokio::time::timeout(SILENCE, self.response.chunk()).await.map_err(|_| FeedError::Silent)?;
        let chunk = chunk.map_err(FeedError::Broken)?.ok_or(FeedError::Closed)?;
        self.rest.extend_from_slice(&chunk);
        let Some(end) = self.rest.iter().rposition(|b| *b == b'\n') else {
            return if self.rest.len() > LINE_LIMIT { Err(FeedError::TooLong) } else { Ok(()) };
        };
        let whole = self.rest.split_to(end + 1);
        for line in whole.as_ref().split(|b: &u8| *b == b'\n').filter(|line| !line.is_empty()) {
            self.frames.push_back(serde_json::from_slice(line).map_err(FeedError::Malformed)?);
        }
        Ok(())
    }
}
