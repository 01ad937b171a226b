//! `launcher probe`: tests whether a message is delivered.

use std::time::{Duration, Instant};

use kit::{Exit, Failure};

use super::options::{Where, small_runtime};
use super::{output, running, token};

/// Its flags.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Time limit from connecting to delivery
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = kit::duration::parse)]
    timeout: Duration,
}

/// Sends a message to itself and waits for it. Any failure is one sentence and exit code 1.
pub(super) fn probe(place: &Where, args: &Args) -> Result<Exit, Failure> {
    let failed = |what: String| Failure::new(Exit::Failure, what);
    let token =
        token::of_running(&place.directories()?.data).map_err(|failure| failed(failure.to_string()))?;
    let address = running::chat_server(place)?;
    let begun = Instant::now();
    let back = small_runtime()?.block_on(transport::probe::chat(address, &token, args.timeout));
    back.map_err(|error| failed(error.to_string()))?;
    let took = super::report::milliseconds(u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX));
    output::line(&format!("delivered a message through the chat server at {address} in {took}"));
    Ok(Exit::Fine)
}
