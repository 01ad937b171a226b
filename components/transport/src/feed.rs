//! The stream of committed events from the message API: one request with an endless response.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::BytesMut;
use protocol::Event;
use protocol::api::FeedFrame;
use reqwest::Response;
use serde::Deserialize;

use crate::api::error::ApiError;

/// The message API sends a heartbeat every five seconds; after three missed ones the feed counts as dead.
const SILENCE: Duration = Duration::from_secs(16);
/// Longer than any event's line: body and metadata with every byte escaped, and the rest.
const LINE_LIMIT: usize = 512 * 1024;

/// An open feed.
///
/// Bound: one network chunk and the frames parsed from it are held; nothing more is read until the caller asks.
#[derive(Debug)]
pub struct Feed {
    response: Response,
    rest: BytesMut,
    frames: VecDeque<FeedFrame>,
}

/// Why a feed ended. A feed reopened at the last position continues without a gap, or reports that it cannot.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// It could not be opened.
    #[error("open the feed")]
    Open(#[from] ApiError),
    /// The connection broke.
    #[error("read the feed")]
    Broken(#[source] reqwest::Error),
    /// The message API closed it: it is stopping, or we lagged.
    #[error("the message API closed the feed")]
    Closed,
    /// Nothing arrived, not even a heartbeat.
    #[error("the feed fell silent")]
    Silent,
    /// A malformed frame.
    #[error("understand the feed")]
    Malformed(#[source] serde_json::Error),
    /// A line exceeds [`LINE_LIMIT`].
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
    /// See [`FeedError`]. After an error the feed is closed.
    pub async fn next(&mut self) -> Result<FeedFrame, FeedError> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return Ok(frame);
            }
            self.read_chunk().await?;
        }
    }

    /// A frame that has already arrived; does not wait.
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
            self.frames.push_back(frame(line).map_err(FeedError::Malformed)?);
        }
        Ok(())
    }
}

/// The prefix of an event's line.
const EVENT: &[u8] = br#"{"type":"event","#;

/// The frame of an event without its tag.
#[derive(Deserialize)]
struct Tagless {
    index: u64,
    event: Box<Event>,
}

/// Parses a line. Nearly every line is an event whose tag comes first, which allows a fast path: looking for the tag anywhere would need a
/// copy of the whole line.
fn frame(line: &[u8]) -> serde_json::Result<FeedFrame> {
    if !line.starts_with(EVENT) {
        return serde_json::from_slice(line);
    }
    let Tagless { index, event } = serde_json::from_slice(line)?;
    Ok(FeedFrame::Event { index, event })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_what_its_type_says() {
        let event = r#"{"id":"01890a5d-ac96-774b-bcce-b302099a8057","conversation":"dm:a:b","seq":7,
            "at":"2026-11-20T23:21:22.277391+00:00","sender":"a","destination":"b","body":"hi","type":"command",
            "metadata":{"k":[1]},"client_id":"x","timestamp":"2026-11-20T23:21:22+00:00"}"#;
        let lines = [
            format!(r#"{{"type":"event","index":3,"event":{event}}}"#),
            format!(r#"{{"index":3,"event":{event},"type":"event"}}"#),
            r#"{"type":"heartbeat","index":9}"#.to_owned(),
            r#"{"type":"start","epoch":"01890a5d-ac96-774b-bcce-b302099a8057","index":0,"resumed":true}"#
                .to_owned(),
        ];
        for line in lines {
            let read = frame(line.as_bytes()).unwrap();
            assert_eq!(read, serde_json::from_str::<FeedFrame>(&line).unwrap());
        }
        for bad in [r#"{"type":"event","index":3}"#, r#"{"type":"event",}"#, r#"{"type":"other"}"#, ""] {
            assert!(frame(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
