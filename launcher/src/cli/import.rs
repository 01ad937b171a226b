//! `launcher import legacy`: imports an older program's messages from the database.

use kit::{Exit, Failure};
use message_api::store::mongo::MongoStore;

use super::options::{Where, Without, small_runtime};
use super::output;
use crate::preflight::mongodb;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Import the older program's collection 'messages'; run again, it imports only what is new
    Legacy,
}

/// Imports while the store is in use, and prints the number of messages.
pub(super) fn import(place: &Where, args: &Args) -> Result<Exit, Failure> {
    let What::Legacy = args.what;
    let loaded = place.load(&Without::default())?;
    let url = &loaded.settings.store.url;
    if !mongodb::is_mongodb(url) {
        let what = "the older program stored its messages in MongoDB; set store.url to that database";
        return Err(Failure::new(Exit::Usage, what));
    }
    kit::context::install_tls();
    let imported = small_runtime()?.block_on(MongoStore::import_legacy(url));
    let legacy = imported.map_err(|error| Failure::new(error.exit(), error))?;
    output::line(&legacy.to_string());
    Ok(Exit::Fine)
}
