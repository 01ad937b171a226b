//! `launcher migrate`: copies a SQLite file to MongoDB while it is in use.

use kit::{Exit, Failure};
use message_api::migrate::{MigrateError, Migrated};

use super::options::{Where, Without, small_runtime};
use super::output::{self, many};

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The store to copy from, such as sqlite:chat.db [default: store.url]
    #[arg(long, value_name = "URL")]
    from: Option<String>,
    /// The store to copy to, such as mongodb://localhost:27017
    #[arg(long, value_name = "URL")]
    to: String,
}

/// Copies what is missing, compares every conversation, and prints the next steps.
pub(super) fn migrate(place: &Where, args: &Args) -> Result<Exit, Failure> {
    let loaded = place.load(&Without::default())?;
    let from = args.from.as_ref().unwrap_or(&loaded.settings.store.url);
    kit::context::install_tls();
    let mut tell = |text: &str| output::line(text);
    let migrating = message_api::migrate::migrate(from, &args.to, &loaded.directories.data, &mut tell);
    let Migrated { copied, conversations, events } =
        small_runtime()?.block_on(migrating).map_err(|error| {
            let exit = match &error {
                MigrateError::Direction => Exit::Usage,
                MigrateError::Open(error) => error.exit(),
                MigrateError::Store(_) => Exit::Unavailable,
                MigrateError::NoFile(_) | MigrateError::Diverged(_) | MigrateError::TooFast => Exit::Failure,
            };
            Failure::new(exit, error)
        })?;
    output::line(&format!(
        "copied {}; verified that both stores hold the same {} in {}",
        many(copied, "message"),
        many(events, "message"),
        many(conversations, "conversation")
    ));
    if copied > 0 {
        output::line(
            "messages sent from now on are not copied: run 'launcher stop message-api', migrate again, then set \
             store.url to the new store and start",
        );
    }
    Ok(Exit::Fine)
}
