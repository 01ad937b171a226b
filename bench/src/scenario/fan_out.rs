//! One sender sends the same message to many recipients, one after the other, as fast as possible; the next round begins when all have
//! received it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::bench::{Bench, bounded};
use crate::codec::Incoming;
use crate::connection::Connection;
use crate::latency::Latency;
use crate::ledger::{Faults, Ledger};
use crate::load::{Clock, Outcome, TIMEOUT};
use crate::problem::Result;
use crate::stamp::Stamp;
use crate::system::{Running, System};
use crate::table::Row;

const ROUNDS: u32 = 50;

/// Latencies are measured from the beginning of a round.
pub(super) async fn run(bench: &mut Bench<'_>) -> Result<()> {
    let receivers = bench.options.senders;
    let scenario = format!("one sender, {receivers} receivers");
    for system in bench.systems.clone() {
        let Some(running) = bench.start(&scenario, system).await else { continue };
        let outcome = bounded(rounds(system, &running, receivers)).await;
        let row = outcome.as_ref().map(|outcome| Row::timed(&scenario, system.label, outcome));
        bench.report(&scenario, system, row.map_err(|error| error.to_string().into()));
    }
    Ok(())
}

async fn rounds(system: System, running: &Running, receivers: u32) -> Result<Outcome> {
    let (address, protocol) = (running.address(system), system.protocol);
    let (clock, arrived) = (Clock::start(), Arc::new(Semaphore::new(0)));
    let mut tasks = JoinSet::new();
    for index in 0..receivers {
        let connection = Connection::login(address, protocol.codec(), &format!("fr{index}")).await?;
        tasks.spawn(receive(connection, clock, Arc::clone(&arrived)));
    }
    let mut sender = Connection::login(address, protocol.codec(), "fs").await?;
    let begun = clock.now();
    for number in 0..ROUNDS {
        let body = Stamp { sender: 0, number, intended: clock.now() }.body();
        (0..receivers).for_each(|index| sender.queue(&format!("fr{index}"), &body));
        sender.flush().await?;
        all_arrived(&mut sender, &arrived, receivers).await?;
    }
    let took = clock.now() - begun;
    let mut outcome = Outcome::default();
    let done = tasks.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
    for (_open, latency, faults) in &done {
        outcome.latency.merge(latency);
        outcome.faults += *faults;
    }
    outcome.rate = f64::from(receivers * ROUNDS) / took.as_secs_f64();
    Ok(outcome)
}

/// Waits for the end of a round while reading the sender's input.
async fn all_arrived(sender: &mut Connection, arrived: &Semaphore, receivers: u32) -> Result<()> {
    let deadline = tokio::time::Instant::now() + TIMEOUT;
    loop {
        tokio::select! {
            permits = arrived.acquire_many(receivers) => {
                permits?.forget();
                return Ok(());
            }
            readable = sender.readable() => {
                readable?;
                sender.receive(|_| {}).await?;
            }
            // The faults show what is missing.
            () = tokio::time::sleep_until(deadline) => return Ok(()),
        }
    }
}

async fn receive(
    mut connection: Connection,
    clock: Clock,
    arrived: Arc<Semaphore>,
) -> Result<(Connection, Latency, Faults)> {
    let (mut latency, mut ledger) = (Latency::default(), Ledger::default());
    let mut note = |incoming| {
        if let Incoming::Delivered(stamp) = incoming {
            ledger.note(stamp.number);
            latency.note(clock.now().saturating_sub(stamp.intended));
            arrived.add_permits(1);
        }
    };
    let mut last = 0;
    while last < ROUNDS {
        match timeout(TIMEOUT + Duration::from_secs(1), connection.readable()).await {
            Ok(readable) => readable?,
            Err(_) => break,
        }
        connection
            .receive(|incoming| {
                if matches!(incoming, Incoming::Delivered(_)) {
                    last += 1;
                }
                note(incoming);
            })
            .await?;
    }
    let faults = ledger.faults(ROUNDS);
    // It stays open until all are done: a server may bounce messages that a leaving client has not acknowledged.
    Ok((connection, latency, faults))
}
