//! The running message API's report on its store, and damage in a database file.

use kit::{Exit, Secret};
use transport::ApiClient;

use crate::config::Loaded;

/// Why the message API of the running launcher is not ready; `None` if it is, or cannot be asked.
pub async fn unready(loaded: &Loaded) -> Option<(Exit, String)> {
    kit::context::install_tls();
    let address = kit::listen::reachable(loaded.settings.message_api.listen);
    let client = ApiClient::new(address, Secret::new(String::new()));
    let reason = client.unready().await.ok()??;
    Some((Exit::Unavailable, format!("message-api is not ready: {reason}")))
}

/// Reads the whole database file, which may be in use.
#[must_use]
pub fn damage(loaded: &Loaded) -> Option<(Exit, String)> {
    match message_api::store::verify(&loaded.settings.store, &loaded.directories.data) {
        Ok(problems) => {
            let first = problems.first()?;
            let others = match problems.len() {
                1 => String::new(),
                count => format!(", and {} more problems", count - 1),
            };
            Some((Exit::Config, format!("the database file is damaged: {first}{others}")))
        }
        Err(error) => {
            let failure = error.into_failure();
            Some((failure.exit(), failure.to_string()))
        }
    }
}

/// An older program's messages in the database, if there are any and that is known.
pub async fn legacy(loaded: &Loaded) -> Option<String> {
    let url = &loaded.settings.store.url;
    if !super::mongodb::is_mongodb(url) {
        return None;
    }
    let count = message_api::store::mongo::legacy_waiting(url).await.ok()??;
    Some(format!(
        "the older program left {count} messages in the collection 'messages'; they are imported at the next start"
    ))
}
