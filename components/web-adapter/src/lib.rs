//! web-adapter: serves the page, and bridges each browser's WebSocket to the chat server.
//!
//! * [`config`] is the configuration; `servers` and `origins` derive from it: where a login may go, and which pages may log in.
//! * `router` answers HTTP: the page (`assets`), `/ws`, health.
//! * `socket` is one WebSocket. `session` reads its first frame and hands it to `native` (frames pass 1:1) or `legacy` (WIRE §4).
//!
//! Stateless: no message, user or queue is stored. If a browser does not read, we stop reading from the chat server, which then feeds that
//! session from the store at its own pace.

pub mod config;

mod app;
mod assets;
mod forwarded;
mod frame;
mod legacy;
mod metrics;
mod native;
mod origins;
mod router;
mod servers;
mod session;
mod socket;
mod upstream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kit::http::Hosts;
use kit::logins::Logins;
use kit::places::Places;
use kit::{Context, Exit, Failure, Running};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

pub use assets::SHARED as SHARED_PAGE_FILES;
pub use config::Config;

use crate::app::App;
use crate::origins::Origins;
use crate::servers::ChatServers;

/// Most WebSockets at once. Overflow rule: further ones are refused with 503.
const MAX_SOCKETS: usize = 4096;
/// Most WebSockets from one address at once; all users behind one router share them.
const MAX_SOCKETS_PER_ADDRESS: usize = 256;
/// Time limit for sessions to close their browsers' connections at shutdown.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(1000);

/// Serves the page and `/ws` until `context.shutdown`; `chat` is the chat server that a login goes to.
///
/// # Errors
/// When the address is in use, or a configured origin or host is invalid.
pub fn run(config: Config, chat: SocketAddr, context: Context) -> Running {
    Box::pin(async move {
        let listener = kit::listen::bind(config.listen).await?;
        serve(listener, config, chat, context).await
    })
}

/// Like [`run`], on a bound listener.
///
/// # Errors
/// When a configured origin or host is invalid.
pub async fn serve(
    listener: TcpListener,
    config: Config,
    chat: SocketAddr,
    context: Context,
) -> Result<(), Failure> {
    let origins =
        Origins::parse(&config.allowed_origins).map_err(|error| Failure::new(Exit::Config, error))?;
    let hosts = origins::check_hosts(&config.allowed_hosts)
        .map(|()| Hosts::with_names(config.allowed_hosts.clone()))
        .map_err(|error| Failure::new(Exit::Config, error))?;
    origins::check_base_path(&config.base_path).map_err(|error| Failure::new(Exit::Config, error))?;
    let address = listener.local_addr()?;
    let base_path = config.base_path.clone();
    let sessions = TaskTracker::new();
    let app = Arc::new(App {
        base_path: base_path.clone(),
        hosts,
        origins,
        servers: ChatServers::new(chat, &config.chat_servers),
        places: Places::new(MAX_SOCKETS, MAX_SOCKETS_PER_ADDRESS),
        forwarders: forwarded::Forwarders::new(&config.trusted_proxies),
        logins: Logins::new(config.logins_per_minute),
        lists: Arc::default(),
        metrics: Arc::default(),
        sessions: sessions.clone(),
        shutdown: context.shutdown.clone(),
    });
    let status = match config.tls_listen {
        Some(tls) => format!("serving http://{address}{base_path} and https://{tls}{base_path}"),
        None => format!("serving http://{address}{base_path}"),
    };
    let (notifier, usual) = (context.notifier.clone(), status.clone());
    let report = move |problem: Option<String>| match problem {
        Some(problem) => notifier.status(&format!("{usual}; {problem}")),
        None => notifier.status(&usual),
    };
    let tls =
        kit::http::open_tls(config.tls_listen, &config.tls, &context.data, &context.shutdown, report).await?;
    tracing::info!(%address, %chat, "serving the page");
    context.notifier.ready(&status);
    let router = router::router(app, &base_path);
    let server = kit::http::Server::new(router).with_proxies(config.proxies).with_tls(tls);
    server.run(listener, context.shutdown).await;
    sessions.close();
    // Remaining browsers do not read; they reconnect by themselves.
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, sessions.wait()).await;
    Ok(())
}
