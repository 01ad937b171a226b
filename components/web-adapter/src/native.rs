//! The native dialect over a WebSocket: each frame is passed on as it is, one JSON object for one line, both ways.
//!
//! The chat server interprets the frames; here they are only checked to be one JSON object of bounded length.

use std::net::SocketAddr;

use axum::extract::ws::Utf8Bytes;
use futures_util::FutureExt;
use protocol::native::{ErrorCode, ServerFrame};
use tokio_util::sync::CancellationToken;

use crate::frame;
use crate::metrics::Metrics;
use crate::socket::{Gone, Input, Socket, code};
use crate::upstream::Upstream;

/// Most frames written before the browser's socket is flushed: a replay costs one system call per batch.
const BATCH: usize = 64;

/// How a session ended.
enum End {
    /// The browser left.
    Gone,
    /// Shutdown.
    Shutdown,
    /// The chat server closed the connection, with its last frame.
    ServerLeft(Option<Utf8Bytes>),
    /// The browser's connection must be closed, with this code.
    Broken(u16),
}

impl From<Gone> for End {
    fn from(Gone: Gone) -> Self {
        Self::Gone
    }
}

/// Runs a session whose first frame was `hello`.
pub(crate) async fn run(
    mut socket: Socket,
    hello: &str,
    server: SocketAddr,
    metrics: &Metrics,
    shutdown: &CancellationToken,
) {
    let upstream = match Upstream::connect(server).await {
        Ok(upstream) => upstream,
        Err(error) => {
            tracing::warn!(%server, %error, "the chat server cannot be reached");
            return close_unreachable(socket, metrics).await;
        }
    };
    let mut session = Session { socket, upstream, metrics, last: None };
    let end = session.talk(hello, shutdown).await;
    let Session { socket: taken, upstream, .. } = session;
    socket = taken;
    match end {
        End::Gone => {}
        End::Broken(code) => socket.close(code, "the frame cannot be read").await,
        End::Shutdown => close_with_bye(socket, code::GOING_AWAY, "the web adapter is restarting").await,
        End::ServerLeft(last) => match last.as_deref().map(serde_json::from_str::<ServerFrame>) {
            // The server has already sent its `bye`.
            Some(Ok(ServerFrame::Bye { reason, .. })) => socket.close(code::TRY_AGAIN, &reason).await,
            Some(Ok(ServerFrame::Error(error))) if is_final(error.code) => {
                socket.close(code::POLICY, &error.message).await;
            }
            Some(_) | None => close_unreachable(socket, metrics).await,
        },
    }
    upstream.close().await;
}

async fn close_unreachable(socket: Socket, metrics: &Metrics) {
    metrics.chat_away.add(1);
    close_with_bye(socket, code::TRY_AGAIN, "lost connection to the chat server").await;
}

async fn close_with_bye(mut socket: Socket, code: u16, reason: &str) {
    let bye = ServerFrame::Bye { reason: reason.to_owned(), reconnect_after_ms: None };
    if socket.send(&bye).await.is_ok() {
        socket.close(code, reason).await;
    }
}

/// Whether the server closes the connection after this error.
fn is_final(code: ErrorCode) -> bool {
    match code {
        ErrorCode::BadName
        | ErrorCode::Taken
        | ErrorCode::Protected
        | ErrorCode::Reserved
        | ErrorCode::Full
        | ErrorCode::ExpectedHello => true,
        ErrorCode::BadFrame
        | ErrorCode::UnknownType
        | ErrorCode::TooLong
        | ErrorCode::Retry
        | ErrorCode::Refused => false,
    }
}

struct Session<'a> {
    socket: Socket,
    upstream: Upstream,
    metrics: &'a Metrics,
    /// The server's last frame, which may contain the reason for closing.
    last: Option<Utf8Bytes>,
}

impl Session<'_> {
    async fn talk(&mut self, hello: &str, shutdown: &CancellationToken) -> End {
        let mut input = Input::Text(hello.to_owned());
        loop {
            if let Err(end) = self.take(input).await {
                return end;
            }
            input = loop {
                tokio::select! {
                    () = shutdown.cancelled() => return End::Shutdown,
                    input = self.socket.next() => break input,
                    frame = self.upstream.next() => match self.hand_over(frame).await {
                        Ok(()) => {}
                        Err(end) => return end,
                    },
                }
            };
        }
    }

    /// Handles input from the browser.
    async fn take(&mut self, input: Input) -> Result<(), End> {
        self.metrics.frames_in.add(1);
        let line = match input {
            Input::Text(text) => frame::to_line(&text),
            Input::Bad(bad) => Err(bad),
            Input::Broken(bad, code) => {
                self.socket.send(&bad.to_native()).await?;
                return Err(End::Broken(code));
            }
            // Only existing pages are pinged for receipts.
            Input::Taken(_) => return Ok(()),
            Input::Gone => return Err(End::Gone),
        };
        match line {
            Ok(line) => self.pass_on(&line).await.map_err(|_| End::ServerLeft(self.last.take())),
            Err(bad) => Ok(self.socket.send(&bad.to_native()).await?),
        }
    }

    /// Writes a frame to the server. While the server does not read, the frame counts as incomplete input; a browser that must be closed
    /// for that is reported by [`Socket::next`].
    async fn pass_on(&mut self, line: &[u8]) -> std::io::Result<()> {
        let Self { socket, upstream, .. } = self;
        let mut write = std::pin::pin!(upstream.write(line));
        if let Some(written) = write.as_mut().now_or_never() {
            return written;
        }
        socket.holds(line.len());
        let refused = socket.refused();
        let written = tokio::select! {
            biased;
            written = write => written,
            () = refused => Ok(()),
        };
        socket.holds(0);
        written
    }

    /// Handles input from the server, with everything else that has already arrived.
    async fn hand_over(&mut self, frame: Option<String>) -> Result<(), End> {
        let mut next = Some(frame);
        let mut count = 0;
        while let Some(frame) = next.take() {
            let Some(frame) = frame.map(Utf8Bytes::from) else {
                self.socket.flush().await?;
                return Err(End::ServerLeft(self.last.take()));
            };
            self.last = Some(frame.clone());
            self.socket.feed(frame).await?;
            count += 1;
            if count < BATCH {
                next = self.upstream.next().now_or_never();
            }
        }
        self.metrics.frames_out.add(count);
        Ok(self.socket.flush().await?)
    }
}
