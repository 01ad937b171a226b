//! `launcher users`: the registered users, with address and time of their last login.

use kit::{Exit, Failure};
use protocol::api::User;

use super::api::Api;
use super::options::{Where, small_runtime};
use super::output;
use super::table::{Cell, Table};

/// Its flags.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Asks the message API, and prints the answer.
pub(super) fn users(place: &Where, args: &Args) -> Result<Exit, Failure> {
    let api = Api::of_running(place)?;
    let users = small_runtime()?.block_on(api.client.all_users()).map_err(|error| api.failure(&error))?;
    if args.json {
        output::json(&users);
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
            Cell::plain(address),
            Cell::plain(user.first_seen.to_seconds_text()),
            Cell::plain(user.last_seen.to_seconds_text()),
        ]);
    }
    table
}
