//! Requests to the running launcher.

use kit::{Exit, Failure};

use super::options::{Where, small_runtime};
use super::output;
use super::overview::Style;
use crate::supervisor::Snapshot;
use crate::supervisor::control::{self, Request, Response};
use crate::supervisor::load::Meter;

/// The state for programs, with the overall health in one word.
pub(super) fn as_json(snapshot: &Snapshot) -> serde_json::Result<serde_json::Value> {
    let mut value = serde_json::to_value(snapshot)?;
    value["healthy"] = snapshot.is_healthy().into();
    Ok(value)
}

/// The style that fits standard output.
pub(super) fn style() -> Style {
    Style { width: output::terminal_size().map(|(columns, _)| columns), coloured: output::is_coloured() }
}

/// The state with the resource usage.
pub(super) fn measured(place: &Where, meter: &mut Meter) -> Result<Snapshot, Failure> {
    let mut snapshot = ask(place)?;
    meter.measure(&mut snapshot);
    Ok(snapshot)
}

/// Asks the running launcher for its state.
pub(super) fn ask(place: &Where) -> Result<Snapshot, Failure> {
    match ask_for(place, &Request::Status)? {
        Response::Status { snapshot } => Ok(snapshot),
        other => Err(unexpected(&other)),
    }
}

/// Sends a request to the running launcher.
pub(super) fn ask_for(place: &Where, request: &Request) -> Result<Response, Failure> {
    let data = place.directories()?.data;
    match small_runtime()?.block_on(control::request(&data, request))? {
        Response::Refused { reason } => Err(Failure::new(Exit::Failure, reason)),
        answer => Ok(answer),
    }
}

/// The error for an answer of another kind than requested.
pub(super) fn unexpected(response: &Response) -> Failure {
    let kind = match response {
        Response::Status { .. } => "a status",
        Response::Accepted => "nothing",
        Response::Reload { .. } => "a reload",
        Response::Refused { .. } => "a refusal",
    };
    Failure::new(
        Exit::Failure,
        format!("unexpected answer from the launcher ({kind}); does it run another version?"),
    )
}
