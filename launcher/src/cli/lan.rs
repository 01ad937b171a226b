//! `launcher lan`: talks with people on the same network, by the lan-peer that runs on this machine.

mod doctor;
mod failed;
mod find;
mod peers;
mod send;
mod verify;
mod watch;

use clap::Subcommand;
use kit::{Exit, Failure};
use transport::LanClient;

use super::options::{Where, Without, small_runtime};

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
