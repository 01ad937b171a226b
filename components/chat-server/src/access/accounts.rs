//! Follows the changes of accounts: sessions are closed when what let them in is gone.
//!
//! The life of a change: the message API notes it → [`follow`] asks every [`PERIOD`] → the name's sessions that the account does not admit
//! are closed. A login that is decided before a change and joins after it is closed by one of the next questions, for a change is told for a
//! minute.

use std::collections::HashSet;
use std::time::Duration;

use protocol::account::{Account, Accounts as Page, ChangedAccounts, ListAccounts};
use tokio::time::{Instant, MissedTickBehavior};
use transport::ApiError;

use crate::server::Server;

/// How often changes are asked for.
const PERIOD: Duration = Duration::from_millis(500);
/// After a longer silence changes may have been missed, and all accounts are read anew.
const SILENCE: Duration = Duration::from_secs(30);

/// Reads all accounts, and follows their changes for ever.
pub(crate) async fn follow(server: &Server) {
    let mut answered = None;
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let asked = Instant::now();
        let is_current = answered.is_some_and(|at: Instant| at.elapsed() < SILENCE);
        let read = if is_current { changes(server).await } else { everything(server).await };
        match read {
            Ok(()) => answered = Some(asked),
            Err(error) => tracing::debug!(error = kit::failure::chain(&error), "cannot ask for accounts"),
        }
    }
}

async fn changes(server: &Server) -> Result<(), ApiError> {
    for account in server.backend.api.call(&ChangedAccounts {}).await?.accounts {
        server.protected.add(&account.name);
        apply(server, &account);
    }
    Ok(())
}

async fn everything(server: &Server) -> Result<(), ApiError> {
    let (mut names, mut after) = (HashSet::new(), None);
    loop {
        let Page { accounts, next } = server.backend.api.call(&ListAccounts { after }).await?;
        for account in accounts {
            apply(server, &account);
            names.insert(account.name);
        }
        after = next;
        if after.is_none() {
            server.protected.set(names);
            return Ok(());
        }
    }
}

fn apply(server: &Server, account: &Account) {
    server.hub.revoke(&account.name, |token| account.admits(token));
}
