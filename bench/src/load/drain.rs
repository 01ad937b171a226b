//! Recipients reconnect and fetch their stored messages.

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::closed::per_second;
use super::{Clock, Outcome, Pair, TIMEOUT};
use crate::codec::Protocol;
use crate::connection::Connection;
use crate::latency::Latency;
use crate::problem::Result;
use crate::socket::Address;

/// Each recipient logs in, `at_once` concurrently, and reads until everything has arrived. There is one latency per recipient, from the
/// login to the last message.
///
/// # Errors
/// If a login fails or a connection breaks.
/// When a login fails or a connection breaks.
pub async fn drain(
    address: Address,
    protocol: Protocol,
    pairs: Vec<Pair>,
    at_once: usize,
) -> Result<Outcome> {
    let clock = Clock::start();
    let (mut outcome, mut tasks) = (Outcome::default(), JoinSet::new());
    let mut logins = Latency::default();
    let mut waiting = pairs.into_iter();
    loop {
        while tasks.len() < at_once
            && let Some(pair) = waiting.next()
        {
            tasks.spawn(fetch(address, protocol, pair));
        }
        let Some(fetched) = tasks.join_next().await else { break };
        let (pair, took) = fetched??;
        logins.note(took.now());
        outcome.add(&pair);
    }
    outcome.rate = per_second(outcome.sent, clock.now());
    outcome.latency = logins;
    Ok(outcome)
}

async fn fetch(address: Address, protocol: Protocol, mut pair: Pair) -> Result<(Pair, Clock)> {
    let took = Clock::start();
    pair.receiver = Some(Connection::login(address, protocol.returning(), &pair.to).await?);
    while pair.done() < pair.tally.sent {
        let Ok(turn) = timeout(TIMEOUT, pair.turn(took, true)).await else { break };
        turn?;
    }
    Ok((pair, took))
}
