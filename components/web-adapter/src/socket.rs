//! One browser's WebSocket: bounded frames, a heartbeat, and no waiting for ever on one that does not read.
//!
//! Everything that is queued for the browser waits until the one before was written: frames by [`Socket::feed`], the answers to its
//! pings because nothing more is read until they are written. What a browser has got it tells by answering pings of ours, which
//! it does without its page's doing ([`Socket::ask`]).
//!
//! What frames hold that are not whole, or cannot be passed on yet, has one bound for all browsers ([`kit::unfinished`]); the one that holds the most is told so
//! and closed, and until then it can be waiting for anything here.
//!
//! The life of a frame: read whole → longer than a line may be, or binary: [`Input::Bad`] → otherwise [`Input::Text`]. A frame so
//! long that it is not even read ends the connection, after a word about why.

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

/// Frames up to this length are read so that they can be answered; longer ones end the connection.
const READ_BYTES: usize = 4 * LINE_BYTES;
/// How often the browser is asked whether it is there; silent for three times that long, it is not.
const PING_EVERY: Duration = Duration::from_secs(20);
/// A browser that takes nothing for this long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// Frames are handed to the system together up to this length.
const WRITE_BYTES: usize = 16 * 1024;
/// What may wait to be written: no more than the longest frame beside those, for each waits for the one before.
const MAX_WRITE_BYTES: usize = WRITE_BYTES + 2 * SERVER_FRAME_BYTES;
/// Pings that a browser may send in a second for long, and at once; past that it is read more slowly.
const PINGS_PER_SECOND: u32 = 10;
const PING_BURST: u32 = 50;
/// The head of a browser's control frame: its kind, its length, its mask (RFC 6455, 5.2).
const CONTROL_HEAD: usize = 6;
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
    connection: Arc<Connection>,
    metrics: Arc<Metrics>,
    /// Its unfinished frame holds too much: nothing is waited for any more.
    is_refused: bool,
    heard: Instant,
    ping: Interval,
    pings: Allowance,
    /// Until when the answer to a ping must be written; nothing is read before.
    owes: Option<Instant>,
    /// A browser that sends too many pings is not read until then.
    rests: Option<Instant>,
    /// The question that the browser has not answered.
    asked: Option<u64>,
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
    /// The browser has got everything that was sent before this question of ours.
    Taken(u64),
    /// The browser left.
    Gone,
}

/// The browser is gone, or takes nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone;

/// Sets the bounds of a WebSocket before it is accepted.
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

    /// The next frame. Cancel-safe, for reading is: what was read of a frame stays with the WebSocket.
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

    /// So many bytes that came whole are held until they can be passed on; they count as input that is not finished.
    pub(crate) fn holds(&self, bytes: usize) {
        self.connection.holds(bytes);
    }

    /// Waits until what this browser holds is too much. [`Socket::next`] says so, too.
    pub(crate) fn refused(&self) -> impl Future<Output = ()> + Send + use<> {
        let connection = Arc::clone(&self.connection);
        async move { connection.refused().await }
    }

    async fn read(&mut self) -> Input {
        loop {
            if self.answer_ping().await.is_err() {
                return Input::Gone;
            }
            // Thousands of small frames fit into one read, and others must have their turn between.
            consume_budget().await;
            tokio::select! {
                message = self.web_socket.recv() => {
                    self.heard = Instant::now();
                    match message {
                        Some(Ok(Message::Ping(payload))) => {
                            self.connection.took_control_frame(CONTROL_HEAD + payload.len());
                            self.was_pinged();
                        }
                        Some(Ok(Message::Pong(payload))) => {
                            self.connection.took_control_frame(CONTROL_HEAD + payload.len());
                            if let Some(question) = self.answered(&payload) {
                                return Input::Taken(question);
                            }
                        }
                        message => {
                            self.connection.is_whole();
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

    /// The WebSocket has put an answer into its buffer.
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

    /// Asks, behind everything that was handed over, whether the browser has got it; [`Input::Taken`] is the answer. The next
    /// [`Socket::flush`] sends it. One question at a time.
    pub(crate) async fn ask(&mut self, question: u64) -> Result<(), Gone> {
        self.asked = Some(question);
        let ping = Message::Ping(question.to_be_bytes().to_vec().into());
        in_time(&self.connection, self.is_refused, self.web_socket.feed(ping)).await
    }

    fn answered(&mut self, payload: &[u8]) -> Option<u64> {
        let answered = u64::from_be_bytes(payload.try_into().ok()?);
        self.asked.take_if(|asked| *asked == answered)
    }

    /// Sends one frame and sees it on its way.
    pub(crate) async fn send(&mut self, frame: &impl Serialize) -> Result<(), Gone> {
        self.write(Message::Text(to_json(frame).into())).await
    }

    /// Puts a frame beside others that [`Socket::flush`] sends together.
    pub(crate) async fn feed(&mut self, frame: Utf8Bytes) -> Result<(), Gone> {
        in_time(&self.connection, self.is_refused, self.web_socket.feed(Message::Text(frame))).await
    }

    pub(crate) async fn flush(&mut self) -> Result<(), Gone> {
        in_time(&self.connection, self.is_refused, self.web_socket.flush()).await
    }

    async fn write(&mut self, message: Message) -> Result<(), Gone> {
        in_time(&self.connection, self.is_refused, self.web_socket.send(message)).await
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
        let frame = CloseFrame { code, reason: reason.into() };
        if self.is_refused {
            // What it holds is given back at once; what it still sends is thrown away so that it hears why.
            let is_told = self.write(Message::Close(Some(frame))).await.is_ok();
            let Self { web_socket, connection, .. } = self;
            drop(web_socket);
            connection.is_whole();
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

/// A frame as it goes over the wire.
pub(crate) fn to_json(frame: &impl Serialize) -> String {
    serde_json::to_string(frame).expect("frames serialise into memory")
}

/// A browser that is to be closed for what it holds gets what fits at once, and whoever waits for it waits no longer.
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

/// What a message is that is not part of the heartbeat.
fn sort(message: Option<Result<Message, axum::Error>>) -> Input {
    match message {
        Some(Ok(Message::Text(text))) if text.len() > LINE_BYTES => Input::Bad(BadFrame::TooLong),
        Some(Ok(Message::Text(text))) => {
            // A byte order mark says nothing in UTF-8, and some programs write it.
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

/// Browsers that are killed, and nc, hang up without a closing handshake.
fn is_hang_up(error: &tokio_tungstenite::tungstenite::error::ProtocolError) -> bool {
    *error == tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake
}
