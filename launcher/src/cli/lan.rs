//! `launcher lan`: chats with users on the same network through this machine's lan-peer.

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

use super::options::{Nothing, Where, With, small_runtime};
use super::running;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the people on the network
    Peers(With<peers::Args>),
    /// Send a message; offline nodes get it when they return
    Send(With<send::Args>),
    /// Print incoming messages until ctrl-C
    Watch(With<watch::Args>),
    /// Show your fingerprint as a QR code, or verify someone else's
    Verify(With<verify::Args>),
    /// Diagnose why nobody is found
    Doctor(With<Nothing>),
}

/// Does it.
pub(super) fn lan(place: Where, args: Args) -> Result<Exit, Failure> {
    kit::context::install_tls();
    let runtime = small_runtime()?;
    let client = |more: Where| -> Result<LanClient, Failure> {
        Ok(LanClient::new(running::lan_peer(&place.clone().then(more))?))
    };
    match args.command {
        Command::Peers(With { place, args }) => {
            let client = client(place)?;
            runtime.block_on(peers::peers(&client, &args))
        }
        Command::Send(With { place, args }) => {
            let client = client(place)?;
            runtime.block_on(send::send(&client, &args))
        }
        Command::Watch(With { place, args }) => {
            let client = client(place)?;
            runtime.block_on(watch::watch(&client, &args))
        }
        Command::Verify(With { place, args }) => {
            let client = client(place)?;
            runtime.block_on(verify::verify(&client, &args))
        }
        Command::Doctor(With { place, args: Nothing {} }) => {
            let client = client(place)?;
            runtime.block_on(doctor::doctor(&client))
        }
    }
}
