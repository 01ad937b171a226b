//! `launcher lan verify`.

use kit::{Exit, Failure};
use protocol::lan::PeerKey;
use protocol::lan::view::{SetTrust, Verdict};
use transport::LanClient;

use super::failed::failed;
use super::find::find;
use crate::cli::output;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The peer: a name, an address or the start of a key [default: show your own fingerprint]
    whom: Option<String>,
    /// The fingerprint they read to you, or the link in their QR code
    proof: Vec<String>,
}

pub(super) async fn verify(client: &LanClient, args: &Args) -> Result<Exit, Failure> {
    let Some(whom) = &args.whom else { return show_own(client).await };
    let peer = find(client, whom).await?;
    let (PeerKey::Node(id), Some(fingerprint)) = (peer.key, &peer.fingerprint) else {
        let what = "this peer uses the unencrypted protocol and has no key to verify";
        return Err(Failure::new(Exit::Failure, what));
    };
    if args.proof.is_empty() {
        output::line(&format!(
            "{} should have the fingerprint\n\n    {fingerprint}\n",
            output::sanitise(&peer.name)
        ));
        output::line(
            "Ask them to read theirs to you, not over this network ('launcher lan verify' shows it on their machine), then run:",
        );
        output::line(&format!("    launcher lan verify {} THEIR FINGERPRINT", id.short()));
        return Ok(Exit::Fine);
    }
    let request = SetTrust { peer: id, verdict: Verdict::Verified, proof: Some(args.proof.join(" ")) };
    client.trust(&request).await.map_err(failed)?;
    output::line(&format!("verified: {} is who they say", output::sanitise(&peer.name)));
    Ok(Exit::Fine)
}

async fn show_own(client: &LanClient) -> Result<Exit, Failure> {
    let me = client.overview().await.map_err(failed)?.me;
    let code = client.qr().await.map_err(failed)?;
    let is_coloured = output::is_coloured();
    code.lines().for_each(|line| output::line(&printed(line, is_coloured)));
    output::line(&format!("{}\n{}\n{}", me.name, me.fingerprint, me.link));
    Ok(Exit::Fine)
}

/// A line of the QR code, black on white whatever the terminal's colours are: not every camera reads inverted codes.
fn printed(line: &str, is_coloured: bool) -> String {
    if is_coloured { format!("\x1b[30;107m{line}\x1b[0m") } else { line.to_owned() }
}
