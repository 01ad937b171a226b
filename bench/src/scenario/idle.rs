//! Very many idle connections.

use tokio::task::JoinSet;

use super::bench::Bench;
use crate::codec::Protocol;
use crate::connection::Connection;
use crate::problem::Result;
use crate::system::{Running, System};
use crate::table::Row;

/// Concurrent logins.
const LOGINS: u32 = 50;
/// The time for the server to release the memory of the logins.
const SETTLE: std::time::Duration = std::time::Duration::from_secs(2);

/// Measures the memory per connection of the chat server.
pub(super) async fn run(bench: &mut Bench<'_>) -> Result<()> {
    let connections = bench.options.connections;
    let scenario = format!("{connections} idle connections");
    for system in bench.ours().into_iter().filter(|system| system.protocol != Protocol::WebSocket) {
        let Some(running) = bench.start(&scenario, system).await else { continue };
        let note = each(system, &running, connections).await;
        let row = note.map(|note| Row { scenario: &scenario, system: system.label, note, ..Row::default() });
        bench.report(&scenario, system, row);
    }
    Ok(())
}

async fn each(system: System, running: &Running, connections: u32) -> Result<String> {
    let Running::Launcher(launcher) = running else { return Err("it is not ours".into()) };
    let before = launcher.memory_kib("chat-server")?;
    let held = logins(system, running, connections).await?;
    tokio::time::sleep(SETTLE).await;
    let after = launcher.memory_kib("chat-server")?;
    drop(held);
    let each = f64::from(after.saturating_sub(before)) / f64::from(connections);
    Ok(format!("{each:.2} KiB each in chat-server (PSS {before} KiB before, {after} KiB with them)"))
}

async fn logins(system: System, running: &Running, connections: u32) -> Result<Vec<Connection>> {
    let (address, protocol) = (running.address(system), system.protocol);
    let mut held = Vec::new();
    for first in (0..connections).step_by(LOGINS as usize) {
        let mut logins = JoinSet::new();
        for index in first..connections.min(first + LOGINS) {
            logins.spawn(async move {
                let mut connection =
                    Connection::login(address, protocol.codec(), &format!("idle{index}")).await?;
                // The greeting includes the list of users online.
                connection.receive(|_| {}).await?;
                Ok::<_, crate::problem::Error>(connection)
            });
        }
        for login in logins.join_all().await {
            held.push(login?);
        }
    }
    Ok(held)
}
