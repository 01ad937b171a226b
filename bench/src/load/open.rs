//! The open loop: messages are sent when they are due, whatever the system does, and latency is counted from that time.
//!
//! A thread of its own sends, so that neither the runtime's timers (a millisecond) nor what comes in holds it up. How late it was is
//! part of every latency, and the same for every system.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::closed::per_second;
use super::{Clock, Outcome, PATIENCE, Pair};
use crate::codec::Protocol;
use crate::connection::Writer;
use crate::problem::Result;
use crate::schedule::Schedule;
use crate::stamp::Stamp;

/// Messages are first due this long after the start.
const LEAD: Duration = Duration::from_millis(20);

/// What stands still goes on this long after the last message was due: what it then takes at once must not hold up the last ones of others.
const LAST: Duration = Duration::from_secs(1);

/// How it is done.
#[derive(Debug, Clone, Copy)]
pub struct Open {
    /// Messages a second, over all senders.
    pub rate: f64,
    /// Messages due in this time are not measured.
    pub warm_up: Duration,
    /// For how long messages are due, beside the warm-up.
    pub measured: Duration,
    /// The receivers do not read while it lasts, and then take everything.
    pub stalled: bool,
}

/// Runs it.
///
/// # Errors
/// When a connection breaks or the system refuses a message.
pub async fn open(pairs: Vec<Pair>, protocol: Protocol, how: Open) -> Result<Outcome> {
    let clock = Clock::start();
    let schedule = Schedule::new(clock.now() + LEAD, how.rate);
    let ends = LEAD + how.warm_up + how.measured;
    let count = (1..).find(|block| schedule.due(block * BLOCK) >= ends).map_or(0, |block| block * BLOCK);
    let senders = u32::try_from(pairs.len())?;
    let (mut tasks, mut writers) = (JoinSet::new(), Vec::new());
    for mut pair in pairs {
        let (sender, writer) = pair.sender.split(protocol.codec())?;
        writers.push((writer, pair.to.clone()));
        pair.sender = sender;
        // The index-th of all messages is the sender's (index / senders)-th.
        pair.tally.sent = (count + senders - 1 - pair.index) / senders;
        pair.tally.measured_from = LEAD + how.warm_up;
        tasks.spawn(run(pair, clock, how.stalled.then_some(ends + LAST)));
    }
    let pacer = std::thread::spawn(move || pace(&mut writers, schedule, clock, count));
    let mut outcome = Outcome::default();
    while let Some(pair) = tasks.join_next().await {
        outcome.add(&pair??);
    }
    pacer.join().map_err(|_| "the sending thread panicked")??;
    outcome.rate = per_second(outcome.sent, how.warm_up + how.measured);
    Ok(outcome)
}

/// The number of messages is found in steps of this.
const BLOCK: u32 = 64;

async fn run(mut pair: Pair, clock: Clock, stalled_until: Option<Duration>) -> Result<Pair> {
    while pair.done() < pair.tally.sent {
        let now = clock.now();
        let turn = match stalled_until.filter(|until| now < *until) {
            // Wakes when it is to read again, at the latest.
            Some(until) => match timeout(until - now, pair.turn(clock, false)).await {
                Ok(turn) => turn,
                Err(_) => continue,
            },
            None => match timeout(PATIENCE, pair.turn(clock, true)).await {
                Ok(turn) => turn,
                Err(_) => break,
            },
        };
        turn?;
    }
    Ok(pair)
}

fn pace(writers: &mut [(Writer, String)], schedule: Schedule, clock: Clock, count: u32) -> Result<()> {
    let senders = u32::try_from(writers.len())?;
    let mut behind: Vec<usize> = Vec::new();
    for index in 0..count {
        let due = schedule.due(index);
        let now = clock.now();
        if due > now {
            retry(writers, &mut behind)?;
            std::thread::sleep(due.saturating_sub(clock.now()));
        }
        let sender = index % senders;
        let (writer, to) = &mut writers[sender as usize];
        writer.say(to, &Stamp { sender, number: index / senders, intended: due }.body());
        if !writer.flush()? && !behind.contains(&(sender as usize)) {
            behind.push(sender as usize);
        }
    }
    while !behind.is_empty() {
        retry(writers, &mut behind)?;
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Sends what a socket did not take before.
fn retry(writers: &mut [(Writer, String)], behind: &mut Vec<usize>) -> Result<()> {
    let mut error = None;
    behind.retain(|sender| match writers[*sender].0.flush() {
        Ok(done) => !done,
        Err(failed) => {
            error = Some(failed);
            false
        }
    });
    error.map_or(Ok(()), Err)
}
