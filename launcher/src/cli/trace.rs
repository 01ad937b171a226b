//! `launcher trace`: the path of a message.

use kit::{Exit, Failure};
use protocol::native::{Trace, TraceStage};
use transport::trace::TraceError;

use super::options::{Where, small_runtime};
use super::table::{Cell, Table};
use super::token;
use super::{output, running};

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The message's id or client_id
    message: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Asks the chat server, and prints the trace.
pub(super) fn trace(place: &Where, args: &Args) -> Result<Exit, Failure> {
    let token = token::of_running(&place.directories()?.data)?;
    let address = running::chat_server(place)?;
    let asked = small_runtime()?.block_on(transport::trace(address, &args.message, &token));
    let trace = asked.map_err(|error| match error {
        TraceError::Refused(why) => Failure::new(Exit::Failure, why),
        TraceError::Unexpected => {
            Failure::new(Exit::Failure, format!("the chat server at {address}: {error}"))
        }
        TraceError::Unreachable(error) => Failure::new(
            Exit::Unavailable,
            format!(
                "cannot reach the chat server at {address}: {error}; is it running? See 'launcher status'"
            ),
        ),
    })?;
    if args.json {
        output::json(&trace);
    } else {
        table(&trace).lines(output::is_coloured()).iter().for_each(|line| output::line(line));
    }
    Ok(Exit::Fine)
}

fn table(trace: &Trace) -> Table {
    let mut table = Table::new(&["TIME (UTC)", "AFTER", "STAGE", "WHERE"]);
    let first = trace.steps.first().map_or(0, |step| step.at.micros());
    for step in &trace.steps {
        let stage = match step.stage {
            TraceStage::Accepted => "accepted",
            TraceStage::Stored => "stored",
            TraceStage::Feed => "on the feed",
            TraceStage::Written => "written",
            TraceStage::Seen => "seen",
        };
        let after = step.at.micros() - first;
        table.row(vec![
            Cell::plain(step.at.to_string()),
            Cell::number(format!("{}.{:03} ms", after / 1000, after % 1000)),
            Cell::plain(stage),
            Cell::plain(step.place.as_str()),
        ]);
    }
    table
}
