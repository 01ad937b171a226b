//! Logs logins and logouts at a limited rate, except those of the probe, which logs in every 30 s.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use kit::allowance::Allowance;
use protocol::UserName;
use tokio::time::Instant;

use crate::dialect::Dialect;

/// Lines per second, sustained.
const RATE: u32 = 10;
/// Lines per burst.
const BURST: u32 = 100;

/// The log of logins and logouts. Overflow rule: lines beyond the rate are counted, and the next line written has the count.
#[derive(Debug)]
pub(crate) struct LoginLog(Mutex<State>);

#[derive(Debug)]
struct State {
    allowance: Allowance,
    omitted: u64,
}

impl LoginLog {
    /// A log with a full allowance.
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State { allowance: Allowance::new(RATE, BURST, Instant::now()), omitted: 0 }))
    }

    /// The number of lines omitted since the last one, if a line may be written now.
    fn may_write(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.allowance.take(Instant::now()) {
            Ok(()) => Some(std::mem::take(&mut state.omitted)),
            Err(_) => {
                state.omitted += 1;
                None
            }
        }
    }

    /// A user logged in.
    pub(crate) fn logged_in(&self, name: &UserName, peer: SocketAddr, dialect: Dialect) {
        if !name.is_probe()
            && let Some(omitted) = self.may_write()
        {
            tracing::info!(%name, %peer, ?dialect, omitted, "logged in");
        }
    }

    /// A session ended.
    pub(crate) fn logged_out(&self, name: &UserName, why: &str) {
        if !name.is_probe()
            && let Some(omitted) = self.may_write()
        {
            tracing::info!(%name, why, omitted, "logged out");
        }
    }

    /// A connection was rejected.
    pub(crate) fn rejected(&self, peer: SocketAddr, why: &str) {
        if let Some(omitted) = self.may_write() {
            tracing::info!(%peer, why, omitted, "rejected");
        }
    }
}
