//! The latest known time of the servers' log; see [`Collection`](crate::Collection).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bson::Timestamp as ClusterTime;
use mongodb::error::Error;
use mongodb::{Client, ClientSession};

/// The latest known time of the servers' log.
#[derive(Debug, Clone, Default)]
pub struct Clock(Arc<AtomicU64>);

impl Clock {
    /// Ensures that later reads find everything up to this time.
    pub fn advance(&self, time: ClusterTime) {
        self.0.fetch_max(u64::from(time.time) << 32 | u64::from(time.increment), Ordering::AcqRel);
    }

    /// The latest known time.
    #[must_use]
    pub fn now(&self) -> Option<ClusterTime> {
        let now = self.0.load(Ordering::Acquire);
        let part = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).expect("32 bits");
        (now > 0).then(|| ClusterTime { time: part(now >> 32), increment: part(now) })
    }

    /// A session that reads from the latest known time on.
    pub(crate) async fn session(&self, client: &Client) -> Result<ClientSession, Error> {
        let mut session = client.start_session().await?;
        if let Some(now) = self.now() {
            session.advance_operation_time(now);
        }
        Ok(session)
    }

    /// Advances to a session's time. Not after an unconfirmed write: no majority may ever reach its time.
    pub(crate) fn learn(&self, session: &ClientSession) {
        if let Some(time) = session.operation_time() {
            self.advance(time);
        }
    }
}
