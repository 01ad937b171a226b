//! A user's connection to the chat server in the native dialect. It reconnects until it is closed; messages are neither lost nor
//! duplicated.
//!
//! The life of a message: [`NativeClient::send`] puts it in the outbox → it is written, now or once connected → the server's `ack` or a
//! final `error` settles it. After a reconnection, all unsettled messages are written again under the same `client_id`.
//! The life of an event: read → dropped if its `seq` was already passed on → [`Incoming::Event`] → the caller calls [`NativeClient::seen`]
//! once it is processed.
//!
//! Inside: [`state`] decides, without sockets and clocks; [`reader`] and [`writer`] are the two halves of a connection, which never wait
//! for each other; [`driver`] joins them. Persistent storage is left to the caller.

mod driver;
mod incoming;
mod options;
mod reader;
mod state;
mod writer;

use protocol::ConversationId;
use protocol::native::{Ack, ClientFrame, Seen, Send};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use driver::{Command, Driver, Submission};
pub use incoming::{Incoming, REPLAY, SendError};
pub use options::{CLOSE_TIMEOUT, NativeOptions};
pub use state::is_another;

/// Frames that the caller has not received yet. Overflow rule: the connection is not read until there is room.
const INCOMING: usize = 256;
/// Messages and commands that the client's task has not accepted yet. Overflow rule: the caller waits; for messages until the outbox has
/// room, for commands until the task has run.
const QUEUE: usize = 64;

/// A client for one user. Cheap to clone; the connection ends when `shutdown` is cancelled or the receiver of [`Incoming`] is dropped.
#[derive(Debug, Clone)]
pub struct NativeClient {
    submissions: mpsc::Sender<Submission>,
    commands: mpsc::Sender<Command>,
}

impl NativeClient {
    /// Starts connecting. A task that handles [`Incoming`] must call [`NativeClient::post`] and not `send`, or call `send` on another task:
    /// the answer to `send` arrives behind the events waiting to be handled.
    #[must_use]
    pub fn start(options: NativeOptions, shutdown: CancellationToken) -> (Self, mpsc::Receiver<Incoming>) {
        let (submissions, submission_queue) = mpsc::channel(QUEUE);
        let (commands, command_queue) = mpsc::channel(QUEUE);
        let (incoming, incoming_queue) = mpsc::channel(INCOMING);
        let driver = Driver::new(options, submission_queue, command_queue, incoming);
        tokio::spawn(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = driver.run() => {}
            }
        });
        (Self { submissions, commands }, incoming_queue)
    }

    /// Sends a message and waits until it is stored.
    ///
    /// # Errors
    /// When the server refuses it, or the client ended.
    pub async fn send(&self, send: Send) -> Result<Ack, SendError> {
        self.submit(send).await?.await.unwrap_or(Err(SendError::Ended))
    }

    /// Sends a message and returns once it is in the outbox, with the receiver of its result; a dropped result means [`SendError::Ended`].
    /// Messages are sent in the order of submission.
    ///
    /// # Errors
    /// When the client ended.
    pub async fn submit(&self, send: Send) -> Result<oneshot::Receiver<Result<Ack, SendError>>, SendError> {
        let (done, answer) = oneshot::channel();
        self.submissions.send((Box::new(send), Some(done))).await.map_err(|_| SendError::Ended)?;
        Ok(answer)
    }

    /// Sends a message and returns once it is in the outbox.
    ///
    /// # Errors
    /// When the client ended.
    pub async fn post(&self, send: Send) -> Result<(), SendError> {
        self.submissions.send((Box::new(send), None)).await.map_err(|_| SendError::Ended)
    }

    /// Reports a conversation as read up to `seq`, so that those events are not sent again.
    pub async fn seen(&self, conversation: ConversationId, seq: u64) {
        // A client that ended needs no cursor.
        let _ = self.commands.send(Command::Seen(Seen { conversation, seq })).await;
    }

    /// Reconnects and requests everything past the server's cursors again, for a caller that skipped events. Events after
    /// [`Incoming::Disconnected`] with the reason [`REPLAY`] are complete.
    pub async fn replay(&self) {
        let _ = self.commands.send(Command::Replay).await;
    }

    /// Sends any other frame if connected; it is dropped otherwise.
    pub async fn frame(&self, frame: ClientFrame) {
        let _ = self.commands.send(Command::Ask(Box::new(frame))).await;
    }

    /// Closes the connection: pending frames, cursors above all, are written, and the server has released the name when this returns. Gives
    /// up after [`CLOSE_TIMEOUT`]. Does not wait for unacknowledged messages.
    pub async fn close(self) {
        let (done, closed) = oneshot::channel();
        let closing = async {
            // A client that has ended has nothing to close.
            if self.commands.send(Command::Close(done)).await.is_ok() {
                let _ = closed.await;
            }
        };
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, closing).await;
    }
}
