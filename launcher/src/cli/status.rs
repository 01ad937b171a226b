//! `launcher status`: how everything is.

use kit::{Exit, Failure};

use super::options::{Where, small_runtime};
use super::{output, report};
use crate::supervisor::Snapshot;
use crate::supervisor::control::{self, Request, Response};

/// Its flags.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
}

/// Prints how everything is.
pub(super) fn status(place: &Where, args: &Args) -> Result<Exit, Failure> {
    let snapshot = ask(place)?;
    if args.json {
        output::line(&serde_json::to_string_pretty(&snapshot)?);
        return Ok(Exit::Fine);
    }
    for line in report::status(&snapshot).lines(output::is_coloured()) {
        output::line(&line);
    }
    let ending = if snapshot.stopping { "; it is stopping" } else { "" };
    output::line(&format!("\nlauncher pid {}, since {}{ending}", snapshot.launcher_pid, snapshot.started_at));
    Ok(Exit::Fine)
}

/// Asks the running launcher how everything is.
pub(super) fn ask(place: &Where) -> Result<Snapshot, Failure> {
    match ask_for(place, &Request::Status)? {
        Response::Status { snapshot } => Ok(snapshot),
        other => Err(unexpected(&other)),
    }
}

/// Asks the running launcher something.
pub(super) fn ask_for(place: &Where, request: &Request) -> Result<Response, Failure> {
    let data = place.directories()?.data;
    match small_runtime()?.block_on(control::request(&data, request))? {
        Response::Refused { reason } => Err(Failure::new(Exit::Failure, reason)),
        answer => Ok(answer),
    }
}

/// An answer that belongs to another question.
pub(super) fn unexpected(response: &Response) -> Failure {
    let kind = match response {
        Response::Status { .. } => "a status",
        Response::Accepted => "nothing",
        Response::Reload { .. } => "a reload",
        Response::Refused { .. } => "a refusal",
    };
    Failure::new(Exit::Failure, format!("the launcher answered with {kind}; is it of another version?"))
}
