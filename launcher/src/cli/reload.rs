//! `launcher reload`: applies the changed configuration, or shows what that would change.

use kit::{Exit, Failure};

use super::ask::{ask_for, unexpected};
use super::options::Where;
use super::output;
use crate::supervisor::control::{Request, Response};

/// Its flags.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only show what would change
    #[arg(long)]
    plan: bool,
    /// Also apply what needs consent: another store, an empty or missing configuration file
    #[arg(long, conflicts_with = "plan")]
    yes: bool,
}

/// Reloads, and prints the changes.
pub(super) fn reload(place: &Where, args: &Args) -> Result<Exit, Failure> {
    let summary = match ask_for(place, &Request::Reload { plan_only: args.plan, yes: args.yes })? {
        Response::Reload { summary } => summary,
        other => return Err(unexpected(&other)),
    };
    let parts = [
        ("restart", &summary.restarted),
        ("start", &summary.started),
        ("stop", &summary.stopped),
        ("change", &summary.changed),
        ("keep", &summary.kept),
        ("because", &summary.settings),
    ];
    for (what, names) in parts {
        if !names.is_empty() {
            output::line(&format!("{what:<8} {}", names.join(", ")));
        }
    }
    if !summary.consent.is_empty() && args.plan {
        let keys = summary.consent.join(", ");
        output::line(&format!("confirm  {keys}: applied only with 'launcher reload --yes'"));
    }
    Ok(Exit::Fine)
}
