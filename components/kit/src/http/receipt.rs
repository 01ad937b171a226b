//! Receipts: whether the peer has read an answer, which decides whether messages count as read.
//!
//! The life of a receipt:
//!
//! * The end of the answer's body is passed on and written.
//! * The peer's TCP acknowledges it.
//! * The peer closes the connection normally or sends its next request: the answer was read. A peer that closes with unread bytes resets
//!   the connection: the answer was not read.
//! * If the peer does neither within [`SILENCE`] while the connection is open and everything is acknowledged, the answer counts as read; at
//!   once if the caller needs a decision.

use std::io;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::connection::{Connection, Progress};
use crate::send_queue::{SendQueue, Unacknowledged};

/// A client that keeps the connection open reads an answer at once, or is stuck.
const SILENCE: Duration = Duration::from_secs(3);
/// An answer that is not acknowledged after this time counts as unread.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);
/// The interval of kernel queries, which grows from the first to the second value.
const FIRST_LOOK: Duration = Duration::from_millis(1);
const LAST_LOOK: Duration = Duration::from_millis(100);

static SEND_QUEUE: LazyLock<SendQueue> = LazyLock::new(SendQueue::open);

/// An answer for which it is not known yet whether the peer has read it.
#[derive(Debug)]
pub struct Receipt {
    connection: Arc<Connection>,
    /// The connection's progress when the end of the body was passed on.
    from: Progress,
    hurry: CancellationToken,
}

impl Connection {
    /// Creates a receipt for an answer whose last bytes are passed on now. Cancel `hurry` when a decision is needed at once.
    #[must_use]
    pub fn receipt(self: &Arc<Self>, hurry: CancellationToken) -> Receipt {
        Receipt { connection: Arc::clone(self), from: self.progress(), hurry }
    }
}

impl Receipt {
    /// Waits until it is known whether the answer was read.
    pub async fn is_read(self) -> bool {
        self.connection.flushed_since(self.from.flushes).await;
        let written = self.connection.progress();
        if written.flushes == self.from.flushes {
            return false;
        }
        let begun = Instant::now();
        let mut acknowledged_at = None;
        let mut pause = FIRST_LOOK;
        while begun.elapsed() < UNACKNOWLEDGED {
            let changed = self.connection.changed.notified();
            let mut changed = std::pin::pin!(changed);
            changed.as_mut().enable();
            if let Some(is_read) = self.look(written, &mut acknowledged_at) {
                return is_read;
            }
            let hurried = async {
                match acknowledged_at {
                    // Already hurried, or nothing to decide yet.
                    None => std::future::pending().await,
                    Some(_) => self.hurry.cancelled().await,
                }
            };
            tokio::select! {
                () = changed => {}
                () = hurried => {}
                () = sleep(pause) => pause = (pause * 2).min(LAST_LOOK),
            }
        }
        false
    }

    /// The decision, if it can be made now.
    fn look(&self, written: Progress, acknowledged_at: &mut Option<Instant>) -> Option<bool> {
        let connection = &self.connection;
        if connection.progress().released {
            connection.listen();
        }
        let now = connection.progress();
        if now.broken || connection.closed.is_cancelled() {
            return Some(false);
        }
        match connection.stream.unacknowledged(&SEND_QUEUE, connection.local, connection.peer) {
            // Both sides have closed, and ours closes normally only when everything was acknowledged. The HTTP implementation may not have
            // noticed yet, but no input is left that it could miss.
            Unacknowledged::Gone => {
                connection.listen();
                // Undecided until the runtime has seen the end, too; checked again later.
                return connection.progress().ended.then_some(true);
            }
            Unacknowledged::Bytes(1..) => return None,
            Unacknowledged::Bytes(0) | Unacknowledged::Unknown => {}
        }
        let since = *acknowledged_at.get_or_insert_with(Instant::now);
        let shows_it = now.reads > written.reads || (now.ended && !written.ended);
        let is_read = shows_it || self.hurry.is_cancelled() || since.elapsed() >= SILENCE;
        is_read.then_some(true)
    }
}

impl Connection {
    /// Reads and ignores what the peer sends after HTTP has ended, to notice the end.
    fn listen(&self) {
        let mut buffer = [0; 512];
        loop {
            match self.stream.try_read(&mut buffer) {
                Ok(0) => return self.note(|progress| progress.ended = true),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => return self.note(|progress| progress.broken = true),
            }
        }
    }
}
