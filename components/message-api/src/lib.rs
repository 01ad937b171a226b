//! The message API: the component that stores messages, and publishes what was stored.
//!
//! * [`store`]: the logs, in SQLite or MongoDB.
//! * [`feed`]: the stream of committed events.
//! * [`archive`]: backups. * [`migrate`]: from one store to another. * [`retention`]: expiry.
//! * `http`: the endpoints; `service`: what they share; `deliveries`: answers that are not known to be received.
//! * `health`: whether the store works; `observed`: the store with metrics and health; `budget`: limits on what is stored.
//! * `probe_messages`: removes the messages of the launcher's probe.
//!
//! Knows nothing of sessions, dialects or who is online.

pub mod archive;
pub mod config;
pub mod feed;
pub mod migrate;
pub mod retention;
pub mod store;

mod accounts;
mod budget;
mod deliveries;
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

/// Opens the store, serves until `context.shutdown`, then finishes what is in flight and closes the store.
///
/// # Errors
/// If the store cannot be opened (exit 78 if the configuration must change, 69 if MongoDB cannot be reached), or the address cannot be
/// bound.
#[must_use]
pub fn run(
    config: Config,
    store: StoreConfig,
    reserved: Vec<UserName>,
    context: kit::Context,
) -> kit::Running {
    Box::pin(async move {
        serve_with(&config, kit::listen::bind(config.listen).await?, store, reserved, context).await
    })
}

/// Like [`run`], on a bound listener and otherwise with the defaults.
///
/// # Errors
/// If the store cannot be opened.
pub async fn serve(
    listener: TcpListener,
    store: StoreConfig,
    reserved: Vec<UserName>,
    context: kit::Context,
) -> Result<(), kit::Failure> {
    serve_with(&Config::default(), listener, store, reserved, context).await
}

/// Like [`run`], on a bound listener.
///
/// # Errors
/// If the store cannot be opened.
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
    // Boxed because it is large and short-lived.
    let notifier = context.notifier.clone();
    let tell = Arc::new(move |line: &str| {
        tracing::info!("{line}");
        notifier.status(line);
    });
    let opening = Box::pin(store::open(&store, &context.data, feed.clone(), tell));
    let store = opened(&context.notifier, opening).await.map_err(store::OpenError::into_failure)?;
    let service = Arc::new(Service::new(Arc::clone(&store), feed, reserved, (rule, budget), &context));
    let status = match config.tls_listen {
        Some(tls) => format!("serving on http://{address} and https://{tls}"),
        None => format!("serving on http://{address}"),
    };
    let (told, usual) = (Arc::clone(&service), status.clone());
    let report = move |problem: Option<String>| match problem {
        Some(problem) => told.health.serves(&format!("{usual}; {problem}")),
        None => told.health.serves(&usual),
    };
    let tls =
        kit::http::open_tls(config.tls_listen, &config.tls, &context.data, &context.shutdown, report).await?;
    tracing::info!(%address, "serving the message API");
    service.health.serving(&status);
    let watching = health::watch(Arc::clone(&service.health), Arc::clone(&store), context.shutdown.clone());
    let watching = tokio::spawn(watching);
    if let Some(directory) = directory {
        let (service, shutdown) = (Arc::clone(&service), context.shutdown.clone());
        tokio::spawn(async move { service.budget.watch(directory, &service.health, shutdown).await });
    }
    let sweeping = rule.map(|_| tokio::spawn(sweeper::run(Arc::clone(&service))));
    kit::http::Server::new(http::router(Arc::clone(&service)))
        .with_token(context.service_token.clone())
        .with_tls(tls)
        .run(listener, context.shutdown.clone())
        .await;
    context.notifier.stopping();
    service.deliveries.finish().await;
    // They end with the shutdown; a panic in one was logged.
    let _ = watching.await;
    if let Some(sweeping) = sweeping {
        let _ = sweeping.await;
    }
    store.close().await?;
    tracing::info!("stopped");
    Ok(())
}

/// Opening takes long if an older file is migrated or an older program's messages are imported: asks the supervisor for more time
/// meanwhile.
async fn opened<T>(notifier: &kit::Notifier, mut opening: impl Future<Output = T> + Unpin) -> T {
    const EVERY: Duration = Duration::from_secs(10);
    loop {
        match tokio::time::timeout(EVERY, &mut opening).await {
            Ok(opened) => return opened,
            Err(_) => notifier.extend(EVERY * 3),
        }
    }
}
