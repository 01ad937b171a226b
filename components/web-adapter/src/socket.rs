//! A browser's WebSocket: bounded frames, a heartbeat, and bounded waiting for a browser that does not read.
//!
//! Output is written in order: each frame waits for the previous one ([`Socket::feed`]), and after a ping nothing more is read until its
//! answer is written. The browser confirms what it has received by answering our pings, without any code in its page ([`Socket::ask`]).
//!
//! Incomplete frames and frames that cannot be passed on yet share one limit across all browsers ([`kit::unfinished`]); the one that holds
//! the most is told so and closed, whatever it is waiting for here.
//!
//! The life of a frame: read completely → too long for a line, or binary: [`Input::Bad`] → otherwise [`Input::Text`]. A frame too long to
//! be read closes the connection with the reason.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use futures_util::SinkExt;
use kit::allowance::Allowance;
use kit::http::Connection;
use protocol::limits::{LINE_BYTES, SERVER_FRAME_BYTES};
use serde::Serialize;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until, timeout, timeout_at};
use tokio_tungstenite::tungstenite::Error as WebSocketError;

use crate::frame::BadFrame;
use crate::metrics::Metrics;

/// Longest frame that is read and answered; longer ones close the connection.
const READ_BYTES: usize = 4 * LINE_BYTES;
/// The ping interval; a browser silent for three times as long counts as gone.
const PING_EVERY: Duration = Duration::from_secs(20);
/// A browser that does not read for this long counts as gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// Frames are written together up to this length.
const WRITE_BYTES: usize = 16 * 1024;
/// Size limit of the write buffer: the longest frame beside those, because each waits for the previous one.
const MAX_WRITE_BYTES: usize = WRITE_BYTES + 2 * SERVER_FRAME_BYTES;
/// Pings per second from a browser, sustained, and their burst; above it the browser is read more slowly.
const PINGS_PER_SECOND: u32 = 10;
const PING_BURST: u32 = 50;
/// Size of the header of a browser's control frame (RFC 6455, 5.2).
const CONTROL_HEAD: usize = 6;
/// Time limit for the closing handshake.
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

/// An accepted WebSocket.
#[derive(Debug)]
pub(crate) struct Socket {
    web_socket: WebSocket,
    connection: Arc<Connection>,
    metrics: Arc<Metrics>,
    /// Its incomplete frame holds too much: nothing is waited for any more.
    is_refused: bool,
    heard: Instant,
    ping: Interval,
    pings: Allowance,
    /// Deadline for writing the answer to a ping; nothing is read before.
    owes: Option<Instant>,
    /// The browser is not read until then because of too many pings.
    rests: Option<Instant>,
    /// The unanswered ping.
    asked: Option<u64>,
}

/// Input from the browser.
#[derive(Debug)]
pub(crate) enum Input {
    /// A text frame of at most [`LINE_BYTES`].
    Text(String),
    /// An invalid frame; the connection continues.
    Bad(BadFrame),
    /// The connection must be closed with this code, after the reason.
    Broken(BadFrame, u16),
    /// The browser has received everything sent before this ping.
    Taken(u64),
    /// The browser left.
    Gone,
}

/// The browser has gone or does not read any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone;

/// Sets the limits of a WebSocket before it is accepted.
pub(crate) fn bounded(upgrade: WebSocketUpgrade) -> WebSocketUpgrade {
    upgrade
        .max_message_size(READ_BYTES)
        .max_frame_size(READ_BYTES)
        .read_buffer_size(8 * 1024)
        .write_buffer_size(WRITE_BYTES)
        .max_write_buffer_size(MAX_WRITE_BYTES)
}

impl Socket {
    pub(crate) fn new(web_socket: WebSocket, connection: Arc<Connection>, metrics: Arc<Metrics>) -> Self {
        let heard = Instant::now();
        let mut ping = interval_at(heard + PING_EVERY, PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let pings = Allowance::new(PINGS_PER_SECOND, PING_BURST, heard);
        Self {
            web_socket,
            connection,
            metrics,
            is_refused: false,
            heard,
            ping,
            pings,
            owes: None,
            rests: None,
            asked: None,
        }
    }

    /// The next frame. Cancel-safe: a partially read frame stays in the WebSocket.
    pub(crate) async fn next(&mut self) -> Input {
        let connection = Arc::clone(&self.connection);
        tokio::select! {
            () = connection.refused() => {
                self.is_refused = true;
                Input::Broken(BadFrame::Unfinished, code::TRY_AGAIN)
            }
            input = self.read() => input,
        }
    }

    /// Sets the number of bytes that wait to be passed on; they count as incomplete input.
    pub(crate) fn holds(&self, bytes: usize) {
        self.connection.holds(bytes);
    }

    /// Waits until this browser must be closed for its incomplete input. [`Socket::next`] reports it, too.
    pub(crate) fn refused(&self) -> impl Future<Output = ()> + Send + use<> {
        let connection = Arc::clone(&self.connection);
        async move { connection.refused().await }
    }

    async fn read(&mut self) -> Input {
        loop {
            if self.answer_ping().await.is_err() {
                return Input::Gone;
            }
            // Yields to other tasks: one read can contain thousands of small frames.
            consume_budget().await;
            tokio::select! {
                message = self.web_socket.recv() => {
                    self.heard = Instant::now();
                    match message {
                        Some(Ok(Message::Ping(payload))) => {
                            self.connection.received_control_frame(CONTROL_HEAD + payload.len());
                            self.was_pinged();
                        }
                        Some(Ok(Message::Pong(payload))) => {
                            self.connection.received_control_frame(CONTROL_HEAD + payload.len());
                            if let Some(question) = self.answered(&payload) {
                                return Input::Taken(question);
                            }
                        }
                        message => {
                            self.connection.input_complete();
                            return sort(message);
                        }
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

    /// A ping's answer is in the write buffer.
    fn was_pinged(&mut self) {
        let now = Instant::now();
        self.metrics.pings.add(1);
        self.owes.get_or_insert(now + WRITE_TIMEOUT);
        self.rests = self.pings.take(now).err();
    }

    /// Writes the answer to a ping before anything else is read.
    async fn answer_ping(&mut self) -> Result<(), Gone> {
        if let Some(deadline) = self.owes {
            timeout_at(deadline, self.web_socket.flush()).await.map_err(|_| Gone)?.map_err(|_| Gone)?;
            self.owes = None;
        }
        if let Some(until) = self.rests {
            sleep_until(until).await;
            self.rests = None;
        }
        Ok(())
    }

    /// Sends a ping after all previous output; [`Input::Taken`] reports its answer. The next [`Socket::flush`] writes it. One ping at a
    /// time.
    pub(crate) async fn ask(&mut self, question: u64) -> Result<(), Gone> {
        self.asked = Some(question);
        let ping = Message::Ping(question.to_be_bytes().to_vec().into());
        in_time(&self.connection, self.is_refused, self.web_socket.feed(ping)).await
    }

    fn answered(&mut self, payload: &[u8]) -> Option<u64> {
        let answered = u64::from_be_bytes(payload.try_into().ok()?);
        self.asked.take_if(|asked| *asked == answered)
    }

    /// Writes and flushes one frame.
    pub(crate) async fn send(&mut self, frame: &impl Serialize) -> Result<(), Gone> {
        self.write(Message::Text(to_json(frame).into())).await
    }

    /// Queues a frame for the next [`Socket::flush`].
    pub(crate) async fn feed(&mut self, frame: Utf8Bytes) -> Result<(), Gone> {
        in_time(&self.connection, self.is_refused, self.web_socket.feed(Message::Text(frame))).await
    }

    pub(crate) async fn flush(&mut self) -> Result<(), Gone> {
        in_time(&self.connection, self.is_refused, self.web_socket.flush()).await
    }

    async fn write(&mut self, message: Message) -> Result<(), Gone> {
        in_time(&self.connection, self.is_refused, self.web_socket.send(message)).await
    }

    /// Closes with a reason, and waits briefly for the browser to receive it.
    pub(crate) async fn close(mut self, code: u16, reason: &str) {
        // A close frame has room for 123 bytes of reason.
        let reason: String = reason
            .chars()
            .scan(0, |length, c| {
                *length += c.len_utf8();
                (*length <= 123).then_some(c)
            })
            .collect();
        let frame = CloseFrame { code, reason: reason.into() };
        if self.is_refused {
            // Its memory is released at once; further input is discarded so that the reason arrives.
            let is_told = self.write(Message::Close(Some(frame))).await.is_ok();
            let Self { web_socket, connection, .. } = self;
            drop(web_socket);
            connection.input_complete();
            if is_told {
                connection.linger(CLOSE_TIMEOUT).await;
            }
            return;
        }
        let farewell = async {
            if self.web_socket.send(Message::Close(Some(frame))).await.is_ok() {
                while let Some(Ok(_)) = self.web_socket.recv().await {
                    consume_budget().await;
                }
            }
        };
        let _ = timeout(CLOSE_TIMEOUT, farewell).await;
    }
}

/// Serialises a frame.
pub(crate) fn to_json(frame: &impl Serialize) -> String {
    serde_json::to_string(frame).expect("frames serialise into memory")
}

/// Limits a write; a browser that must be closed for its incomplete input is not waited for.
async fn in_time(
    connection: &Connection,
    is_refused: bool,
    write: impl Future<Output = Result<(), axum::Error>>,
) -> Result<(), Gone> {
    let patience = if is_refused { Duration::ZERO } else { WRITE_TIMEOUT };
    tokio::select! {
        biased;
        written = timeout(patience, write) => written.map_or(Err(Gone), |result| result.map_err(|_| Gone)),
        () = connection.refused() => Err(Gone),
    }
}

/// Classifies a message that is not part of the heartbeat.
fn sort(message: Option<Result<Message, axum::Error>>) -> Input {
    match message {
        Some(Ok(Message::Text(text))) if text.len() > LINE_BYTES => Input::Bad(BadFrame::TooLong),
        Some(Ok(Message::Text(text))) => {
            // A byte order mark has no meaning in UTF-8, but some programs write it.
            Input::Text(text.as_str().trim_start_matches('\u{feff}').to_owned())
        }
        Some(Ok(Message::Binary(_))) => Input::Bad(BadFrame::Binary),
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_))) | None => Input::Gone,
        Some(Err(error)) => explain(error),
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

/// Killed browsers, and nc, disconnect without a closing handshake.
fn is_hang_up(error: &tokio_tungstenite::tungstenite::error::ProtocolError) -> bool {
    *error == tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake
}
