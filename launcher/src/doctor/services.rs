//! Checks what others provide: ports, the store, certificates, the language model.

use kit::{Exit, Secret};
use openai_bot::{Contact, ContactError, Credentials};

use super::Finding;
use crate::catalog;
use crate::config::Loaded;
use crate::preflight::{mongodb, ports, store as store_check};

/// Whether the ports are free, or in use by this launcher.
pub(super) fn ports(loaded: &Loaded, running: Option<u32>) -> Finding {
    const CHECK: &str = "ports";
    if let Some(pid) = running {
        return Finding::ok(CHECK, format!("in use by the running launcher (pid {pid})"));
    }
    let listeners = catalog::used_listeners(loaded);
    let taken: Vec<String> = ports::check(&listeners).iter().map(ToString::to_string).collect();
    if taken.is_empty() {
        let free: Vec<String> = listeners.iter().map(|(_, address)| address.to_string()).collect();
        return Finding::ok(CHECK, format!("free: {}", free.join(", ")));
    }
    Finding::fail(CHECK, taken.join("\n"), "stop the other program, or configure other addresses")
}

/// Whether the store works: as reported by the running message API, if there is one, and by checking it directly.
pub(super) async fn store(loaded: &Loaded, running: Option<u32>) -> Finding {
    let store = &loaded.settings.store;
    if running.is_some()
        && let Some((exit, reason)) = store_check::unready(loaded).await
    {
        let advice = "see 'launcher status' and 'launcher logs message-api'";
        return Finding::fail("store", reason, advice).with_exit(exit);
    }
    if mongodb::is_mongodb(&store.url) {
        return match mongodb::test_connection(&store.url).await {
            Ok(()) => Finding::ok("MongoDB", "reachable and writable"),
            Err(error) => {
                let failure = error.into_failure();
                let advice = "see store.url, MONGO_URL and the server; 'sqlite:chat.db' needs no server";
                Finding::fail("MongoDB", failure.to_string(), advice).with_exit(failure.exit())
            }
        };
    }
    match message_api::store::inspect(store, &loaded.directories.data) {
        Ok(()) => match store_check::damage(loaded) {
            None => Finding::ok("store", format!("{}, intact; MongoDB is not used", store.url)),
            Some((exit, problem)) => {
                Finding::fail("store", problem, "restore a backup: launcher restore FILE").with_exit(exit)
            }
        },
        Err(error) => {
            let failure = error.into_failure();
            Finding::fail(
                "store",
                failure.to_string(),
                "restore a backup in its place, or set another file in store.url",
            )
            .with_exit(failure.exit())
        }
    }
}

/// Whether there are root certificates for verifying servers.
pub(super) fn tls_roots() -> Finding {
    const CHECK: &str = "TLS roots";
    let found = rustls_native_certs::load_native_certs();
    match (found.certs.len(), found.errors.first()) {
        (0, error) => {
            let why = error.map(|error| format!(": {error}")).unwrap_or_default();
            let advice = "install them (Debian: apt-get install ca-certificates); only the bot and a MongoDB with TLS need them";
            Finding::warn(CHECK, format!("none found{why}"), advice)
        }
        (count, _) => Finding::ok(CHECK, format!("{count} certificates of this machine")),
    }
}

/// Whether the bot can work, and by how many seconds our clock is ahead of its endpoint's.
pub(super) async fn bot(loaded: &Loaded) -> (Finding, Option<i64>) {
    const CHECK: &str = "OpenAI key";
    let config = &loaded.settings.openai_bot;
    if !config.enabled || loaded.without.contains(&"--no-openai") {
        return (Finding::ok(CHECK, "not needed: the bot is disabled"), None);
    }
    let Some(key) = &loaded.api_key else {
        let advice =
            "put OPENAI_API_KEY=… into .env beside the configuration, or set openai-bot.enabled = false";
        return (Finding::warn(CHECK, "not set, so the bot is not started", advice), None);
    };
    let credentials = Credentials { api_key: Secret::new(key.expose().to_owned()) };
    match openai_bot::contact(config, &credentials).await {
        Ok(Contact { clock_ahead_s }) => {
            (Finding::ok(CHECK, format!("{} accepts it", config.base_url)), clock_ahead_s)
        }
        Err(error) => (refused(CHECK, &error), None),
    }
}

fn refused(check: &'static str, error: &ContactError) -> Finding {
    let found = error.to_string();
    match error {
        ContactError::Config(failure) => {
            Finding::fail(check, found, "correct the setting").with_exit(failure.exit())
        }
        ContactError::BadKey => Finding::fail(check, found, "copy the key again").with_exit(Exit::Config),
        // The rest of the chat works without the bot.
        ContactError::Unreachable { .. } => {
            Finding::warn(check, found, "check the network, the proxy and openai-bot.base-url")
        }
        ContactError::Refused { .. } => Finding::warn(check, found, "check the key with its provider"),
    }
}
