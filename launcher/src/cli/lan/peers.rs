//! `launcher lan peers`.

use kit::{Exit, Failure};
use protocol::lan::PeerKey;
use protocol::lan::view::{Peer, Trust};
use transport::LanClient;

use super::failed::failed;
use crate::cli::output::{self, Colour};
use crate::cli::table::{Cell, Table};

/// Its flags.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn peers(client: &LanClient, args: &Args) -> Result<Exit, Failure> {
    let overview = client.overview().await.map_err(failed)?;
    if args.json {
        output::json(&overview);
        return Ok(Exit::Fine);
    }
    let mut table = Table::new(&["NAME", "", "TRUST", "WAITING", "ADDRESS", "KEY"]);
    overview.peers.iter().for_each(|peer| table.row(row(peer)));
    table.lines(output::is_coloured()).iter().for_each(|line| output::line(line));
    if !overview.peers.iter().any(|peer| peer.online) {
        output::line("no peers found; 'launcher lan doctor' shows why");
    }
    Ok(Exit::Fine)
}

fn row(peer: &Peer) -> Vec<Cell> {
    let presence = if peer.online {
        Cell::coloured("online", Colour::Green)
    } else {
        Cell::coloured("offline", Colour::Grey)
    };
    let key = match peer.key {
        PeerKey::Node(id) => id.short(),
        PeerKey::Legacy(_) => "-".to_owned(),
    };
    vec![
        Cell::plain(output::sanitise(&peer.name)),
        presence,
        trust(peer.trust),
        Cell::number(peer.waiting.to_string()),
        Cell::plain(output::sanitise(peer.addresses.first().map_or("-", String::as_str))),
        Cell::plain(key),
    ]
}

fn trust(trust: Trust) -> Cell {
    match trust {
        Trust::Unencrypted => Cell::coloured("unverified, unencrypted", Colour::Yellow),
        Trust::New => Cell::plain("encrypted, not verified"),
        Trust::Verified => Cell::coloured("encrypted, verified", Colour::Green),
        Trust::Changed => Cell::coloured("KEY CHANGED", Colour::Red),
        Trust::Blocked => Cell::coloured("blocked", Colour::Grey),
    }
}
