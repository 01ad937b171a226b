//! Logs who comes and goes, but not more lines than somebody would read, and none of the probe, which comes every half minute.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use kit::allowance::Allowance;
use protocol::UserName;
use tokio::time::Instant;

use crate::dialect::Dialect;

/// Lines a second, for long.
const RATE: u32 = 10;
/// Lines at once.
const BURST: u32 = 100;

/// The log of comings and goings. Overflow rule: lines past the rate are counted, and the next one that is written says how many.
#[derive(Debug)]
pub(crate) struct Journal(Mutex<State>);

#[derive(Debug)]
struct State {
    allowance: Allowance,
    left_out: u64,
}

impl Journal {
    /// Nothing is logged yet.
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State { allowance: Allowance::new(RATE, BURST, Instant::now()), left_out: 0 }))
    }

    /// How many lines were left out since the last one, if one may be written now.
    fn may_write(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.allowance.take(Instant::now()) {
            Ok(()) => Some(std::mem::take(&mut state.left_out)),
            Err(_) => {
                state.left_out += 1;
                None
            }
        }
    }

    /// Somebody is in.
    pub(crate) fn came(&self, name: &UserName, peer: SocketAddr, dialect: Dialect) {
        if !name.is_probe()
            && let Some(left_out) = self.may_write()
        {
            tracing::info!(%name, %peer, ?dialect, left_out, "logged in");
        }
    }

    /// Somebody is out.
    pub(crate) fn went(&self, name: &UserName, why: &str) {
        if !name.is_probe()
            && let Some(left_out) = self.may_write()
        {
            tracing::info!(%name, why, left_out, "logged out");
        }
    }

    /// Somebody was turned away.
    pub(crate) fn refused(&self, peer: SocketAddr, why: &str) {
        if let Some(left_out) = self.may_write() {
            tracing::info!(%peer, why, left_out, "rejected");
        }
    }
}
