//! `launcher lan send`.

use kit::{Exit, Failure};
use protocol::lan::view::{self, State};
use transport::LanClient;

use super::failed::failed;
use super::find::find;
use crate::cli::output;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The recipient: a name, an address or the start of a key
    whom: String,
    /// Send unencrypted to an address that an encrypted node used before
    #[arg(long)]
    unencrypted: bool,
    /// The message
    #[arg(required = true)]
    text: Vec<String>,
}

pub(super) async fn send(client: &LanClient, args: &Args) -> Result<Exit, Failure> {
    let peer = find(client, &args.whom).await?;
    let request = view::Send { peer: peer.key, text: args.text.join(" "), unencrypted: args.unencrypted };
    let entry = client.send(&request).await.map_err(failed)?;
    let said = match entry.state {
        State::Sent => "sent unencrypted; this peer does not confirm delivery",
        State::Queued if peer.online => "on its way, encrypted",
        State::Queued => "stored; sent when they are back online",
        State::Delivered | State::Received => "delivered",
        State::Failed => {
            let why = format!("not sent: {}", output::sanitise(&entry.remark.unwrap_or_default()));
            return Err(Failure::new(Exit::Failure, why));
        }
    };
    output::line(said);
    Ok(Exit::Fine)
}
