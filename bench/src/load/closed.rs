//! The closed loop: each sender keeps a fixed number of messages in flight, and sends the next when one is acknowledged.
//!
//! It determines the maximum rate. Its latencies are not reported, because it sends less while a system stalls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Clock, Outcome, Pair, TIMEOUT};
use crate::problem::Result;

/// The parameters.
#[derive(Debug, Clone, Copy)]
pub struct Closed {
    /// Messages in flight per sender.
    pub window: u32,
    /// The time that is not measured.
    pub warm_up: Duration,
    /// The end of the run.
    pub until: Until,
}

/// The end of a closed loop.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// After this time, in addition to the warm-up.
    Elapsed(Duration),
    /// When each sender has sent this many messages, including the warm-up.
    Sent(u32),
}

/// Runs the loop. Returns the pairs after all messages are done.
///
/// # Errors
/// If a connection breaks or the system rejects a message.
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
                pair.queue(clock.now());
            }
            pair.sender.flush().await?;
        }
        if before == pair.tally.sent {
            return Ok(pair);
        }
        let Ok(turn) = timeout(TIMEOUT, pair.turn(clock, true)).await else {
            // What has not arrived by now counts as lost.
            return Ok(pair);
        };
        turn?;
        done.fetch_add(u64::from(pair.done() - before), Ordering::Relaxed);
    }
}

impl Outcome {
    /// Adds a pair's outcome. Messages to an offline recipient are accounted for when they are fetched.
    pub(super) fn add(&mut self, pair: &Pair) {
        let tally = &pair.tally;
        self.sent += u64::from(tally.sent);
        self.latency.merge(&tally.latency);
        if pair.receiver.is_some() {
            self.faults += tally.ledger.faults(tally.sent);
        } else {
            self.faults.lost += u64::from(tally.sent.saturating_sub(tally.acknowledged));
        }
        self.faults.duplicates += tally.strays;
    }
}
