//! message-api: the one component that keeps messages, and tells everybody else what was kept.
//!
//! * [`store`]: the logs, in SQLite or MongoDB.
//! * [`feed`]: the stream of committed events.
//! * [`archive`]: what a backup holds. * [`migrate`]: from one store to another. * [`retention`]: what is deleted.
//! * `http`: the endpoints; `service`: what they share; `handovers`: what was answered and perhaps not read.
//! * `health`: whether the store can be used; `observed`: what its users meet; `budget`: how much may be stored.
//! * `probe_messages`: what the launcher's probe leaves.
//!
//! Knows nothing of sessions, dialects or who is online.

pub mod archive;
pub mod config;
pub mod feed;
pub mod migrate;
pub mod retention;
pub mod store;

mod budget;
mod handovers;
mod health;
mod http;
mod metrics;
mod observed;
mod probe_messages;
mod service;
mod sweeper;

#[cfg(test)]
mod sample;

use std::sync::Arc;
use std::time::Duration;

pub use config::{Config, StoreConfig};
use protocol::UserName;
use tokio::net::TcpListener;

use feed::Feed;
use service::Service;

/// Opens the store, serves until `context.shutdown`, then finishes what is under way and closes the store.
///
/// # Errors
/// When the store cannot be opened (exit 78 where the configuration must change, 69 where MongoDB is not there), or the address
/// cannot be listened on.
pub async fn run(
    config: Config,
    store: StoreConfig,
    reserved: Vec<UserName>,
    context: kit::Context,
) -> Result<(), kit::Failure> {
    serve_with(&config, kit::listen::bind(config.listen).await?, store, reserved, context).await
}

/// As [`run`], on a listener that is bound already, and otherwise with the defaults.
///
/// # Errors
/// When the store cannot be opened.
pub async fn serve(
    listener: TcpListener,
    store: StoreConfig,
    reserved: Vec<UserName>,
    context: kit::Context,
) -> Result<(), kit::Failure> {
    serve_with(&Config::default(), listener, store, reserved, context).await
}

/// As [`run`], on a listener that is bound already.
///
/// # Errors
/// When the store cannot be opened.
pub async fn serve_with(
    config: &Config,
    listener: TcpListener,
    store: StoreConfig,
    reserved: Vec<UserName>,
    context: kit::Context,
) -> Result<(), kit::Failure> {
    let address = listener.local_addr()?;
    let (rule, budget) = (retention::Rule::of(&store), budget::Budget::new(config, &reserved));
    let directory = store::directory(&store, &context.data);
    let feed = Arc::new(Feed::default());
    // Boxed, for it is large and soon over.
    let notifier = context.notifier.clone();
    let tell = Arc::new(move |line: &str| {
        tracing::info!("{line}");
        notifier.status(line);
    });
    let opening = Box::pin(store::open(&store, &context.data, feed.clone(), tell));
    let store = opened(&context.notifier, opening).await.map_err(store::OpenError::into_failure)?;
    let service = Arc::new(Service::new(Arc::clone(&store), feed, reserved, (rule, budget), &context));
    tracing::info!(%address, "serving the message API");
    service.health.serving(&format!("serving on http://{address}"));
    let watching = health::watch(Arc::clone(&service.health), Arc::clone(&store), context.shutdown.clone());
    let watching = tokio::spawn(watching);
    if let Some(directory) = directory {
        let (service, shutdown) = (Arc::clone(&service), context.shutdown.clone());
        tokio::spawn(async move { service.budget.watch(directory, &service.health, shutdown).await });
    }
    let sweeping = rule.map(|_| tokio::spawn(sweeper::run(Arc::clone(&service))));
    kit::http::Server::new(http::router(Arc::clone(&service)))
        .with_token(context.service_token.clone())
        .run(listener, context.shutdown.clone())
        .await;
    context.notifier.stopping();
    service.handovers.finish().await;
    // They end with the shutdown; a panic in one was logged.
    let _ = watching.await;
    if let Some(sweeping) = sweeping {
        let _ = sweeping.await;
    }
    store.close().await?;
    tracing::info!("stopped");
    Ok(())
}

/// Opening takes long where an older file is migrated, or an older program's messages are taken over: the supervisor is asked for more
/// time while it goes on.
async fn opened<T>(notifier: &kit::Notifier, mut opening: impl Future<Output = T> + Unpin) -> T {
    const EVERY: Duration = Duration::from_secs(10);
    loop {
        match tokio::time::timeout(EVERY, &mut opening).await {
            Ok(opened) => return opened,
            Err(_) => notifier.extend(EVERY * 3),
        }
    }
}
