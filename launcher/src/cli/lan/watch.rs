//! `launcher lan watch`.

use futures_util::StreamExt;
use kit::{Exit, Failure};
use protocol::lan::view::{Entry, Event, Peer, State};
use tokio_util::sync::CancellationToken;
use transport::LanClient;

use super::failed::failed;
use super::find::find;
use crate::cli::output;

/// The maximum size of an event; longer input without an end is invalid.
const MAX_EVENT: usize = 256 * 1024;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only messages of this peer: a name, an address, or the beginning of a key
    whom: Option<String>,
}

pub(super) async fn watch(client: &LanClient, args: &Args) -> Result<Exit, Failure> {
    let only = match &args.whom {
        Some(whom) => Some(find(client, whom).await?.key),
        None => None,
    };
    let stop = CancellationToken::new();
    kit::shutdown::on_signals(stop.clone())?;
    let mut events = client.events().await.map_err(failed)?;
    let mut came = Vec::new();
    while let Some(Some(bytes)) = stop.run_until_cancelled(events.next()).await {
        came.extend_from_slice(&bytes.map_err(failed)?);
        while let Some(end) = came.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = came.drain(..=end).collect();
            let event = line.strip_prefix(b"data: ").and_then(|json| serde_json::from_slice(json).ok());
            match event {
                Some(Event::Message { entry }) if only.is_none_or(|only| only == entry.peer) => {
                    show(client, &entry).await?;
                }
                Some(Event::Lagged) => {
                    output::line("(lagged: some messages were skipped; the page shows them)")
                }
                Some(Event::Message { .. } | Event::Peers) | None => {}
            }
        }
        if came.len() > MAX_EVENT {
            return Err(Failure::new(
                Exit::Failure,
                "unexpected answer: the server at that address is not a lan-peer",
            ));
        }
    }
    Ok(Exit::Fine)
}

async fn show(client: &LanClient, entry: &Entry) -> Result<(), Failure> {
    if entry.state != State::Received {
        return Ok(());
    }
    let peers = client.overview().await.map_err(failed)?.peers;
    let name = peers
        .iter()
        .find(|peer| peer.key == entry.peer)
        .map_or_else(|| entry.peer.to_string(), |peer: &Peer| peer.name.clone());
    let remark =
        entry.remark.as_ref().map(|remark| format!(" ({})", output::sanitise(remark))).unwrap_or_default();
    let text = entry.body.replace('\n', "\n    ");
    let text: Vec<String> = text.lines().map(output::sanitise).collect();
    output::line(&format!(
        "{} {}: {}{remark}",
        entry.sent.to_seconds_text(),
        output::sanitise(&name),
        text.join("\n")
    ));
    Ok(())
}
