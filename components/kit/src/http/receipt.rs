//! Whether a peer has taken an answer: what decides if something was read.
//!
//! The life of a receipt: the end of an answer's body is handed over → it is written → the peer's TCP has acknowledged it → and
//! then the peer shows that it has read it: it closes in good order, or sends its next request. A peer that closes with bytes
//! unread resets the connection, and has not read it. Whoever says nothing for [`SILENCE`], with the connection open and everything
//! acknowledged, has read it, too; and at once where somebody has to know now.

use std::io;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::connection::{Connection, Progress};
use crate::send_queue::{SendQueue, Unacknowledged};

/// A client that does not close reads an answer at once, or has stopped.
const SILENCE: Duration = Duration::from_secs(3);
/// What is not acknowledged after this was not read.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);
/// How often the kernel is asked, at first and later.
const FIRST_LOOK: Duration = Duration::from_millis(1);
const LAST_LOOK: Duration = Duration::from_millis(100);

static SEND_QUEUE: LazyLock<SendQueue> = LazyLock::new(SendQueue::open);

/// One answer of which nobody knows yet whether it was read.
#[derive(Debug)]
pub struct Receipt {
    connection: Arc<Connection>,
    /// What had happened when the body's end was handed over.
    from: Progress,
    hurry: CancellationToken,
}

impl Connection {
    /// For an answer whose last bytes are handed over now. `hurry` is cancelled when somebody has to know at once.
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
                    // It has hurried already, or there is nothing to decide yet.
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

    /// What is known now.
    fn look(&self, written: Progress, acknowledged_at: &mut Option<Instant>) -> Option<bool> {
        let connection = &self.connection;
        if connection.progress().released {
            connection.listen();
        }
        let now = connection.progress();
        if now.broken || connection.closed.is_cancelled() {
            return Some(false);
        }
        match SEND_QUEUE.ask(&connection.stream, connection.local, connection.peer) {
            // Both sides have closed, and ours is closed in good order only when everything before was acknowledged. HTTP may not
            // have noticed yet; there is nothing left to read that it could miss.
            Unacknowledged::Gone => {
                connection.listen();
                // Until the runtime has heard of the end, too, nothing is known: that is looked at again.
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
    /// Reads what the peer sends after HTTP has ended; only its end is of interest.
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
