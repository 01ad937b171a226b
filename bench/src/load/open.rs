//! The open loop: messages are sent at their intended times, whatever the system does, and latency is measured from these.
//!
//! A thread of its own sends, so that neither the resolution of the runtime's timers (1 ms) nor received messages delay it. Its own delay
//! is part of every latency, equally for all systems.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::closed::per_second;
use super::{Clock, Outcome, Pair, TIMEOUT};
use crate::codec::Protocol;
use crate::connection::Writer;
use crate::problem::Result;
use crate::schedule::Schedule;
use crate::stamp::Stamp;

/// The delay from the start to the first message.
const LEAD: Duration = Duration::from_millis(20);

/// A stalled reader continues this long after the last message was due, so that what it then reads at once does not delay the others' last
/// messages.
const LAST: Duration = Duration::from_secs(1);

/// The parameters.
#[derive(Debug, Clone, Copy)]
pub struct Open {
    /// Messages per second, over all senders.
    pub rate: f64,
    /// Messages due in this time are not measured.
    pub warm_up: Duration,
    /// How long messages are due, in addition to the warm-up.
    pub measured: Duration,
    /// The recipients read nothing during the run, and everything afterwards.
    pub stalled: bool,
}

/// Runs the loop.
///
/// # Errors
/// If a connection breaks or the system rejects a message.
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
        // Message `index` of all is message `index / senders` of its sender.
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

/// The number of messages is searched in steps of this size.
const BLOCK: u32 = 64;

async fn run(mut pair: Pair, clock: Clock, stalled_until: Option<Duration>) -> Result<Pair> {
    while pair.done() < pair.tally.sent {
        let now = clock.now();
        let turn = match stalled_until.filter(|until| now < *until) {
            // Wakes up at the latest when it must read again.
            Some(until) => match timeout(until - now, pair.turn(clock, false)).await {
                Ok(turn) => turn,
                Err(_) => continue,
            },
            None => match timeout(TIMEOUT, pair.turn(clock, true)).await {
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
        writer.queue(to, &Stamp { sender, number: index / senders, intended: due }.body());
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
