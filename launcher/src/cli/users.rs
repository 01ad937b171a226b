//! `launcher users`: who ever logged in, from where and when.

use kit::{Exit, Failure};
use protocol::api::User;
use transport::ApiClient;

use super::options::{Where, Without, small_runtime};
use super::output;
use super::table::{Cell, Table};
use super::token;

/// Its flags.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
}

/// Asks the message API, and prints its answer.
pub(super) fn users(place: &Where, args: &Args) -> Result<Exit, Failure> {
    let loaded = place.load(&Without::default())?;
    let token = token::of_running(&loaded.directories.data)?;
    let address = kit::listen::reachable(loaded.settings.message_api.listen);
    kit::context::install_tls();
    let users = small_runtime()?.block_on(ApiClient::new(address, token).users()).map_err(|error| {
        let error = kit::failure::chain(&error);
        Failure::new(Exit::Unavailable, format!("the message API at {address} does not answer: {error}"))
    })?;
    if args.json {
        output::line(&serde_json::to_string_pretty(&users).expect("users can be written as JSON"));
    } else {
        table(&users).lines(false).iter().for_each(|line| output::line(line));
    }
    Ok(Exit::Fine)
}

fn table(users: &[User]) -> Table {
    let mut table = Table::new(&["NAME", "ADDRESS", "FIRST SEEN (UTC)", "LAST SEEN (UTC)"]);
    for user in users {
        let address = user.address.as_deref().unwrap_or("-");
        table.row(vec![
            Cell::plain(user.name.as_str()),
            Cell::plain(output::tame(address)),
            Cell::plain(user.first_seen.to_seconds_text()),
            Cell::plain(user.last_seen.to_seconds_text()),
        ]);
    }
    table
}
