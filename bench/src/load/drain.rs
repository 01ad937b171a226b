//! Receivers come back and fetch what was kept for them.

use std::net::SocketAddr;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::closed::per_second;
use super::{Clock, Outcome, PATIENCE, Pair};
use crate::codec::Protocol;
use crate::connection::Connection;
use crate::latency::Latency;
use crate::problem::Result;

/// Each receiver logs in, `at_once` of them at a time, and reads until everything has come. The latencies are those from the login to the
/// last message, one for each receiver.
///
/// # Errors
/// When a login fails or a connection breaks.
pub async fn drain(
    address: SocketAddr,
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

async fn fetch(address: SocketAddr, protocol: Protocol, mut pair: Pair) -> Result<(Pair, Clock)> {
    let took = Clock::start();
    pair.receiver = Some(Connection::login(address, protocol.returning(), &pair.to).await?);
    while pair.done() < pair.tally.sent {
        let Ok(turn) = timeout(PATIENCE, pair.turn(took, true)).await else { break };
        turn?;
    }
    Ok((pair, took))
}
