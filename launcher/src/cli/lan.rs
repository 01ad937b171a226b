//! `launcher lan`: talks with people on the same network, by the lan-peer that runs on this machine.

mod doctor;
mod peers;
mod send;
mod verify;
mod watch;

use clap::Subcommand;
use kit::{Exit, Failure};
use protocol::lan::view::Peer;
use transport::LanClient;
use transport::lan::LanError;

use super::options::{Where, Without, small_runtime};
use super::output;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the people on the network
    Peers(peers::Args),
    /// Send a message; offline nodes get it when they return
    Send(send::Args),
    /// Print incoming messages until ctrl-C
    Watch(watch::Args),
    /// Show your fingerprint as a QR code, or verify someone else's
    Verify(verify::Args),
    /// Diagnose why nobody is found
    Doctor,
}

/// Does it.
pub(super) fn lan(place: &Where, args: &Args) -> Result<Exit, Failure> {
    let loaded = place.load(&Without::default())?;
    kit::context::install_tls();
    let client = LanClient::new(loaded.settings.lan_peer.listen);
    small_runtime()?.block_on(async {
        match &args.command {
            Command::Peers(args) => peers::peers(&client, args).await,
            Command::Send(args) => send::send(&client, args).await,
            Command::Watch(args) => watch::watch(&client, args).await,
            Command::Verify(args) => verify::verify(&client, args).await,
            Command::Doctor => doctor::doctor(&client).await,
        }
    })
}

fn failed(error: LanError) -> Failure {
    match error {
        LanError::Unreachable(_) => Failure::new(Exit::Unavailable, error.to_string()),
        LanError::Refused(why) => Failure::new(Exit::Failure, why),
    }
}

/// Whom somebody means: by the name that is shown, else by address, by the beginning of the key, or by the name that they give
/// themselves. Only one may be meant.
async fn find(client: &LanClient, whom: &str) -> Result<Peer, Failure> {
    let peers = client.overview().await.map_err(failed)?.peers;
    let is_shown = |peer: &&Peer| peer.name.eq_ignore_ascii_case(whom);
    let means = |peer: &&Peer| {
        let key = peer.key.to_string();
        let at = |address: &String| {
            address == whom || address.rsplit_once(':').is_some_and(|(host, _)| host == whom)
        };
        key == whom
            || (whom.len() >= 6 && key.starts_with(whom))
            || peer.addresses.iter().any(at)
            || peer.claimed.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(whom))
    };
    let mut found: Vec<Peer> = peers.iter().filter(is_shown).cloned().collect();
    if found.is_empty() {
        found = peers.iter().filter(means).cloned().collect();
    }
    match <[Peer; 1]>::try_from(found) {
        Ok([peer]) => Ok(peer),
        Err(found) if found.is_empty() => {
            let what = format!("no peer matches '{whom}'; list them with 'launcher lan peers'");
            Err(Failure::new(Exit::Failure, what))
        }
        Err(found) => {
            let names: Vec<String> =
                found.iter().map(|peer| format!("'{}'", output::tame(&peer.name))).collect();
            let what = format!("'{whom}' is ambiguous: {}; use the full name or the key", names.join(", "));
            Err(Failure::new(Exit::Failure, what))
        }
    }
}
