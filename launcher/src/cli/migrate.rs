//! `launcher migrate`: from a SQLite file to MongoDB, while people write.

use kit::{Exit, Failure};
use message_api::migrate::{MigrateError, Migrated};

use super::options::{Where, Without, small_runtime};
use super::output;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The store to take everything from, such as sqlite:chat.db [default: store.url]
    #[arg(long, value_name = "URL")]
    from: Option<String>,
    /// The store to bring it to, such as mongodb://localhost:27017
    #[arg(long, value_name = "URL")]
    to: String,
}

/// Copies what is not there yet, compares every conversation, and says what comes next.
pub(super) fn migrate(place: &Where, args: &Args) -> Result<Exit, Failure> {
    let loaded = place.load(&Without::default())?;
    let from = args.from.as_ref().unwrap_or(&loaded.settings.store.url);
    kit::context::install_tls();
    let mut tell = |text: &str| output::line(text);
    let migrating = message_api::migrate::migrate(from, &args.to, &loaded.directories.data, &mut tell);
    let Migrated { copied, conversations, events } =
        small_runtime()?.block_on(migrating).map_err(|error| {
            let exit = match &error {
                MigrateError::Way => Exit::Usage,
                MigrateError::Open(error) => error.exit(),
                MigrateError::Store(_) => Exit::Unavailable,
                MigrateError::NoFile(_) | MigrateError::Apart(_) | MigrateError::NoEnd => Exit::Failure,
            };
            Failure::new(exit, error)
        })?;
    output::line(&format!(
        "{copied} messages copied; {conversations} conversations with {events} messages are the same in both"
    ));
    if copied > 0 {
        output::line(
            "what is said from now on is not there: 'launcher stop message-api', migrate again, then name the \
             new store in store.url and start",
        );
    }
    Ok(Exit::Fine)
}
