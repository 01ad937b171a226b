//! One browser's WebSocket: bounded frames, a heartbeat, and no waiting for ever on one that does not read.
//!
//! The life of a frame: read whole → longer than a line may be, or binary: [`Input::Bad`] → otherwise [`Input::Text`]. A frame so
//! long that it is not even read ends the connection, after a word about why.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use futures_util::SinkExt;
use protocol::limits::LINE_BYTES;
use serde::Serialize;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::tungstenite::Error as WebSocketError;

use crate::frame::BadFrame;

/// Frames up to this length are read so that they can be answered; longer ones end the connection.
const READ_BYTES: usize = 4 * LINE_BYTES;
/// How often the browser is asked whether it is there; silent for three times that long, it is not.
const PING_EVERY: Duration = Duration::from_secs(20);
/// A browser that takes nothing for this long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a browser may take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Close codes (RFC 6455 §7.4.1 and the IANA registry).
pub(crate) mod code {
    pub(crate) const NORMAL: u16 = 1000;
    pub(crate) const GOING_AWAY: u16 = 1001;
    pub(crate) const PROTOCOL: u16 = 1002;
    pub(crate) const NOT_TEXT: u16 = 1007;
    pub(crate) const POLICY: u16 = 1008;
    pub(crate) const TOO_BIG: u16 = 1009;
    pub(crate) const TRY_AGAIN: u16 = 1013;
}

/// A WebSocket that was accepted.
#[derive(Debug)]
pub(crate) struct Socket {
    web_socket: WebSocket,
    heard: Instant,
    ping: Interval,
}

/// What came from the browser.
#[derive(Debug)]
pub(crate) enum Input {
    /// A text frame of at most [`LINE_BYTES`].
    Text(String),
    /// A frame that is not to be passed on; the connection goes on.
    Bad(BadFrame),
    /// The connection cannot go on; say why, and close with this code.
    Broken(BadFrame, u16),
    /// The browser left.
    Gone,
}

/// The browser is gone, or takes nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone;

/// Sets the bounds of a WebSocket before it is accepted.
pub(crate) fn bounded(upgrade: WebSocketUpgrade) -> WebSocketUpgrade {
    upgrade.max_message_size(READ_BYTES).max_frame_size(READ_BYTES).read_buffer_size(8 * 1024)
}

impl Socket {
    pub(crate) fn new(web_socket: WebSocket) -> Self {
        let heard = Instant::now();
        let mut ping = interval_at(heard + PING_EVERY, PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { web_socket, heard, ping }
    }

    /// The next frame. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Input {
        loop {
            tokio::select! {
                message = self.web_socket.recv() => {
                    self.heard = Instant::now();
                    if let Some(input) = sort(message) {
                        return input;
                    }
                }
                _ = self.ping.tick() => {
                    if self.heard.elapsed() > 3 * PING_EVERY || self.write(Message::Ping(Vec::new().into())).await.is_err() {
                        return Input::Gone;
                    }
                }
            }
        }
    }

    /// Sends one frame and sees it on its way.
    pub(crate) async fn send(&mut self, frame: &impl Serialize) -> Result<(), Gone> {
        self.write(Message::Text(to_json(frame).into())).await
    }

    /// Puts a frame beside others that [`Socket::flush`] sends together.
    pub(crate) async fn feed(&mut self, frame: Utf8Bytes) -> Result<(), Gone> {
        in_time(self.web_socket.feed(Message::Text(frame))).await
    }

    pub(crate) async fn flush(&mut self) -> Result<(), Gone> {
        in_time(self.web_socket.flush()).await
    }

    async fn write(&mut self, message: Message) -> Result<(), Gone> {
        in_time(self.web_socket.send(message)).await
    }

    /// Says why it ends, and gives the browser a moment to hear it.
    pub(crate) async fn close(mut self, code: u16, reason: &str) {
        // A close frame has room for 123 bytes of reason.
        let reason: String = reason
            .chars()
            .scan(0, |length, c| {
                *length += c.len_utf8();
                (*length <= 123).then_some(c)
            })
            .collect();
        let farewell = async {
            let frame = CloseFrame { code, reason: reason.into() };
            if self.web_socket.send(Message::Close(Some(frame))).await.is_ok() {
                while let Some(Ok(_)) = self.web_socket.recv().await {}
            }
        };
        let _ = timeout(CLOSE_TIMEOUT, farewell).await;
    }
}

/// A frame as it goes over the wire.
pub(crate) fn to_json(frame: &impl Serialize) -> String {
    serde_json::to_string(frame).expect("frames serialise into memory")
}

async fn in_time(write: impl Future<Output = Result<(), axum::Error>>) -> Result<(), Gone> {
    timeout(WRITE_TIMEOUT, write).await.map_or(Err(Gone), |result| result.map_err(|_| Gone))
}

/// What a message is, or nothing when it was part of the heartbeat.
fn sort(message: Option<Result<Message, axum::Error>>) -> Option<Input> {
    match message {
        Some(Ok(Message::Text(text))) if text.len() > LINE_BYTES => Some(Input::Bad(BadFrame::TooLong)),
        Some(Ok(Message::Text(text))) => Some(Input::Text(text.as_str().to_owned())),
        Some(Ok(Message::Binary(_))) => Some(Input::Bad(BadFrame::Binary)),
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => None,
        Some(Ok(Message::Close(_))) | None => Some(Input::Gone),
        Some(Err(error)) => Some(explain(error)),
    }
}

fn explain(error: axum::Error) -> Input {
    match error.into_inner().downcast::<WebSocketError>().map(|error| *error) {
        Ok(WebSocketError::Capacity(_)) => Input::Broken(BadFrame::TooLong, code::TOO_BIG),
        Ok(WebSocketError::Utf8(_)) => {
            Input::Broken(BadFrame::NotJson("it is not UTF-8".to_owned()), code::NOT_TEXT)
        }
        Ok(WebSocketError::Protocol(error)) if !is_hang_up(&error) => {
            Input::Broken(BadFrame::NotJson(error.to_string()), code::PROTOCOL)
        }
        Ok(_) | Err(_) => Input::Gone,
    }
}

/// Browsers that are killed, and nc, hang up without a closing handshake.
fn is_hang_up(error: &tokio_tungstenite::tungstenite::error::ProtocolError) -> bool {
    *error == tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake
}
