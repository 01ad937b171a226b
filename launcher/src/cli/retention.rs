//! `launcher retention`: counts expired messages, and deletes them on request.

use kit::{Exit, Failure};
use protocol::api::{Retention, RetentionRequest};

use super::api::Api;
use super::options::{Where, small_runtime};
use super::output::{self, many};

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Delete them now, whatever their number, trusting the system clock
    #[arg(long)]
    yes: bool,
}

/// The message API counts and deletes.
pub(super) fn retention(place: &Where, args: &Args) -> Result<Exit, Failure> {
    let api = Api::of_running(place)?;
    let asked = small_runtime()?.block_on(api.client.call(&RetentionRequest { confirmed: args.yes }));
    let Retention { messages, expired, deleted, held: _ } = asked.map_err(|error| api.failure(&error))?;
    if args.yes {
        output::line(&format!("deleted {deleted} of {}", many(messages, "message")));
    } else {
        output::line(&format!("{expired} of {} expired; delete with --yes", many(messages, "message")));
    }
    Ok(Exit::Fine)
}
