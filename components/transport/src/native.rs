//! A user's connection to the chat server in the native dialect. It reconnects until it is closed; nothing said is lost or said twice.
//!
//! The life of a message: [`NativeClient::send`] puts it in the outbox → it is written, now or when there is a connection → the
//! server's `ack` or a final `error` settles it. After a reconnection all that is unsettled is written again under the same
//! `client_id`. The life of an event: read → dropped if its `seq` was passed on before → [`Incoming::Event`] → the caller says
//! [`NativeClient::seen`] when it is dealt with.
//!
//! Inside: [`state`] decides, without sockets and clocks; [`reader`] and [`writer`] are the two halves of a connection, neither of
//! which waits for the other; [`driver`] joins them. Leaves out any storage: what must survive this process is the caller's to keep.

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

use driver::{Driver, Order, Said};
pub use incoming::{Incoming, REPLAY, SendError};
pub use options::{CLOSE_TIMEOUT, NativeOptions};
pub use state::is_another;

/// Frames the caller has not taken yet. Overflow rule: the connection is not read until there is room.
const INCOMING: usize = 256;
/// Messages, and other orders, that the client has not taken yet. Overflow rule: the caller waits; for messages until the outbox
/// has room, for orders until the client's task has run.
const QUEUE: usize = 64;

/// Speaks for one user. Cheap to clone; the connection ends when `shutdown` is cancelled or the receiver of [`Incoming`] is dropped.
#[derive(Debug, Clone)]
pub struct NativeClient {
    said: mpsc::Sender<Said>,
    orders: mpsc::Sender<Order>,
}

impl NativeClient {
    /// Starts connecting. Whoever handles [`Incoming`] must use [`NativeClient::post`], not `send`, or do it on another task:
    /// the answer to `send` comes behind the events that are waiting to be handled.
    #[must_use]
    pub fn start(options: NativeOptions, shutdown: CancellationToken) -> (Self, mpsc::Receiver<Incoming>) {
        let (said, said_queue) = mpsc::channel(QUEUE);
        let (orders, order_queue) = mpsc::channel(QUEUE);
        let (incoming, incoming_queue) = mpsc::channel(INCOMING);
        let driver = Driver::new(options, said_queue, order_queue, incoming);
        tokio::spawn(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = driver.run() => {}
            }
        });
        (Self { said, orders }, incoming_queue)
    }

    /// Says something and waits until it is stored.
    ///
    /// # Errors
    /// When the server refuses it, or the client ended.
    pub async fn send(&self, send: Send) -> Result<Ack, SendError> {
        self.submit(send).await?.await.unwrap_or(Err(SendError::Ended))
    }

    /// Says something and returns once it is in the outbox, with where its answer will come; one that never comes means
    /// [`SendError::Ended`]. What is submitted in order is said in order.
    ///
    /// # Errors
    /// When the client ended.
    pub async fn submit(&self, send: Send) -> Result<oneshot::Receiver<Result<Ack, SendError>>, SendError> {
        let (done, answer) = oneshot::channel();
        self.said.send((Box::new(send), Some(done))).await.map_err(|_| SendError::Ended)?;
        Ok(answer)
    }

    /// Says something and returns once it is in the outbox.
    ///
    /// # Errors
    /// When the client ended.
    pub async fn post(&self, send: Send) -> Result<(), SendError> {
        self.said.send((Box::new(send), None)).await.map_err(|_| SendError::Ended)
    }

    /// Everything of a conversation up to `seq` is dealt with and need not come again.
    pub async fn seen(&self, conversation: ConversationId, seq: u64) {
        // A client that ended needs no cursor.
        let _ = self.orders.send(Order::Seen(Seen { conversation, seq })).await;
    }

    /// Connects once more and has everything past the server's cursors sent again, for a caller that let events go by. Those that
    /// come after [`Incoming::Disconnected`] with the reason [`REPLAY`] are without a gap.
    pub async fn replay(&self) {
        let _ = self.orders.send(Order::Replay).await;
    }

    /// Sends any other frame, if there is a connection; it is dropped otherwise.
    pub async fn frame(&self, frame: ClientFrame) {
        let _ = self.orders.send(Order::Ask(Box::new(frame))).await;
    }

    /// Ends the connection in good order: what was told before, cursors above all, is written, and the server has let go of the
    /// name when this returns. Gives up after [`CLOSE_TIMEOUT`]. Messages without an answer are not waited for.
    pub async fn close(self) {
        let (done, closed) = oneshot::channel();
        let closing = async {
            // A client that ended has nothing left to close.
            if self.orders.send(Order::Close(done)).await.is_ok() {
                let _ = closed.await;
            }
        };
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, closing).await;
    }
}
