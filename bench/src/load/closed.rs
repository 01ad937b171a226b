//! The closed loop: each sender keeps a fixed number of messages under way, and sends the next when one is done.
//!
//! It finds the highest rate. Its latencies are not reported, for a system that stalls is spared by it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Clock, Outcome, PATIENCE, Pair};
use crate::problem::Result;

/// How it is done.
#[derive(Debug, Clone, Copy)]
pub struct Closed {
    /// Messages under way for each sender.
    pub window: u32,
    /// Is not measured.
    pub warm_up: Duration,
    /// When it ends.
    pub until: Until,
}

/// The end of a closed loop.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// After so long, beside the warm-up.
    Elapsed(Duration),
    /// When each sender has sent so many, the warm-up included.
    Sent(u32),
}

/// Runs it. The pairs come back as they are then, with everything done.
///
/// # Errors
/// When a connection breaks or the system refuses a message.
pub async fn closed(pairs: Vec<Pair>, how: Closed) -> Result<(Vec<Pair>, Outcome)> {
    let (clock, done) = (Clock::start(), Arc::new(AtomicU64::new(0)));
    let mut tasks = JoinSet::new();
    for pair in pairs {
        tasks.spawn(run(pair, how, clock, Arc::clone(&done)));
    }
    let measured = match how.until {
        Until::Elapsed(elapsed) => Some(measure(&done, how.warm_up, elapsed).await),
        Until::Sent(_) => None,
    };
    let mut pairs = Vec::new();
    let mut outcome = Outcome::default();
    while let Some(pair) = tasks.join_next().await {
        let pair = pair??;
        outcome.add(&pair);
        pairs.push(pair);
    }
    outcome.rate = measured.unwrap_or_else(|| per_second(outcome.sent, clock.now()));
    pairs.sort_by_key(|pair| pair.index);
    Ok((pairs, outcome))
}

async fn measure(done: &AtomicU64, warm_up: Duration, elapsed: Duration) -> f64 {
    tokio::time::sleep(warm_up).await;
    let (before, clock) = (done.load(Ordering::Relaxed), Clock::start());
    tokio::time::sleep(elapsed).await;
    per_second(done.load(Ordering::Relaxed) - before, clock.now())
}

/// A rate.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(super) fn per_second(count: u64, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}

async fn run(mut pair: Pair, how: Closed, clock: Clock, done: Arc<AtomicU64>) -> Result<Pair> {
    let most = match how.until {
        Until::Elapsed(_) => u32::MAX,
        Until::Sent(count) => count,
    };
    let ends = match how.until {
        Until::Elapsed(elapsed) => how.warm_up + elapsed,
        Until::Sent(_) => Duration::MAX,
    };
    loop {
        let before = pair.done();
        if clock.now() < ends {
            while pair.tally.sent < most && pair.tally.sent - before < how.window {
                pair.say(clock.now());
            }
            pair.sender.flush().await?;
        }
        if before == pair.tally.sent {
            return Ok(pair);
        }
        let Ok(turn) = timeout(PATIENCE, pair.turn(clock, true)).await else {
            // What has not come by now is lost, and counted so.
            return Ok(pair);
        };
        turn?;
        done.fetch_add(u64::from(pair.done() - before), Ordering::Relaxed);
    }
}

impl Outcome {
    /// Adds a pair's. Messages to somebody who is away are accounted for when they are fetched.
    pub(super) fn add(&mut self, pair: &Pair) {
        let tally = &pair.tally;
        self.sent += u64::from(tally.sent);
        self.latency.merge(&tally.latency);
        if pair.receiver.is_some() {
            self.faults += tally.ledger.faults(tally.sent);
        } else {
            self.faults.lost += u64::from(tally.sent.saturating_sub(tally.acknowledged));
        }
        self.faults.doubled += tally.strays;
    }
}
