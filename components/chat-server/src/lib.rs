//! The chat server: users and programs connect to it. It stores nothing itself: the message API stores each message before anybody receives
//! it, and events come back on its feed.
//!
//! * [`access`]: login, names and rate limits.
//! * [`directory`]: who is online, and in which sessions.
//! * [`delivery`]: from a sender to the store, and from the store to the recipients' sessions.
//! * [`dialect`]: parsing and rendering, one file per dialect.
//! * [`session`]: one user's connection.
//!
//! A connection passes [`listener`] → [`connection`] → [`access::login`] → [`session`]; [`wire`] is its socket, and [`backend`] is the
//! client of the message API.
//!
//! `docs/protocol.md` describes the wire formats.

pub mod config;

mod access;
mod backend;
mod connection;
mod delivery;
mod dialect;
mod directory;
mod doors;
mod http;
mod listener;
mod metrics;
mod outcome;
#[cfg(test)]
mod sample;
mod server;
mod session;
#[cfg(test)]
mod simulation;
mod traces;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use kit::{Context, Failure, Notifier, Running};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use transport::ApiClient;

pub use config::{Config, Upstream};

use access::accounts;
use access::login_log::LoginLog;
use access::registrar::{self, Registrar};
use backend::Backend;
use backend::api::Api;
use backend::page_budget::PageBudget;
use delivery::appender::{self, Appender};
use delivery::cursors::Cursors;
use delivery::feed::{self, Link, Observers};
use delivery::hub::Hub;
use directory::protected_names::ProtectedNames;
use kit::logins::Logins;
use kit::send_queue::SendQueue;
use kit::tls::Tls;
use kit::unfinished::UnfinishedInput;
use metrics::Metrics;
use server::Server;
use traces::Traces;

/// The first login waits at most this long for the message API. Without it users are admitted and catch up later.
const FIRST_LINK: Duration = Duration::from_millis(500);
/// When the server stops, sessions have this long to send what is still queued for them.
const DRAIN: Duration = Duration::from_millis(1100);
/// Presence changes are announced in batches at this interval.
const PRESENCE_EVERY: Duration = Duration::from_millis(50);
/// How often the launcher is told the number of sessions and users, if that changed.
const STATUS_EVERY: Duration = Duration::from_secs(2);

/// Serves every dialect until `context.shutdown` is cancelled.
///
/// # Errors
/// If the configuration has an invalid value (exit 78), or an address cannot be bound.
pub fn run(config: Config, upstream: Upstream, context: Context) -> Running {
    Box::pin(serve(config, upstream, context))
}

async fn serve(config: Config, upstream: Upstream, context: Context) -> Result<(), Failure> {
    config.validate()?;
    kit::listen::raise_file_limit();
    let tls = doors::open_tls(&config, &context.data)?;
    let doors = doors::open(&config, tls.as_ref()).await?;
    let address = doors[0].listener.local_addr()?;
    let http = http::bind(config.http_listen).await?;
    let api = Api::Http(ApiClient::new(upstream.api, context.service_token.clone()));
    let backend = Arc::new(Backend::new(api, PageBudget::default()));
    let metrics = Arc::new(Metrics::default());
    let traces = Arc::new(Traces::default());
    let (appender, workers) = Appender::new(&backend, &metrics, &traces);
    let (registrar, book_keeper) = Registrar::new(Arc::clone(&backend));
    let tasks = TaskTracker::new();
    let server = Arc::new(Server {
        hub: Hub::new(config.outbox_bytes),
        cursors: Cursors::new(Arc::clone(&backend)),
        reserved: upstream.reserved.into_iter().collect(),
        service_token: context.service_token.clone(),
        protected: ProtectedNames::unknown(),
        send_queue: SendQueue::open(),
        unfinished: UnfinishedInput::default(),
        logins: Logins::new(config.logins_per_minute),
        login_log: LoginLog::new(),
        metrics,
        traces,
        shutdown: context.shutdown.clone(),
        tasks,
        config,
        backend,
        appender,
        registrar,
        client_book: Arc::default(),
    });
    let background = Background::start(&server, workers, book_keeper, &context.notifier, tls);
    background.first_link().await;
    if let Some(http) = http {
        background.serve_http(http, &server);
    }
    tracing::info!(%address, "taking connections");
    context.notifier.ready(&format!("taking connections on {address}"));
    listener::accept(Arc::clone(&server), doors).await;
    context.notifier.stopping();
    drain(&server).await;
    background.stop().await;
    tracing::info!("stopped");
    Ok(())
}

/// Waits for the sessions to end, then stores the cursors that they moved.
async fn drain(server: &Server) {
    server.tasks.close();
    if tokio::time::timeout(DRAIN, server.tasks.wait()).await.is_err() {
        tracing::warn!(connections = server.tasks.len(), "not all connections ended in time");
    }
    server.cursors.flush_all().await;
}

/// Tasks that run beside the sessions and outlive them.
struct Background {
    tasks: TaskTracker,
    stop: CancellationToken,
    link: watch::Receiver<Link>,
}

impl Background {
    fn start(
        server: &Arc<Server>,
        workers: Vec<appender::Worker>,
        book_keeper: registrar::Worker,
        notifier: &Notifier,
        tls: Option<Tls>,
    ) -> Self {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let (problem, tls_problem) = watch::channel(None);
        let (link, link_watch) = watch::channel(Link::Untried);
        let (backend, hub, cursors) = (&server.backend, &server.hub, &server.cursors);
        let (backend, hub, metrics) = (Arc::clone(backend), Arc::clone(hub), Arc::clone(&server.metrics));
        let traces = Arc::clone(&server.traces);
        let client_book = Arc::clone(&server.client_book);
        let (announcing, reporting, notifier) = (Arc::clone(&hub), Arc::clone(&hub), notifier.clone());
        let cursors = Arc::clone(cursors);
        let accounts = Arc::clone(server);
        let works: [std::pin::Pin<Box<dyn Future<Output = ()> + Send>>; 6] = [
            Box::pin(async move { accounts::follow(&accounts).await }),
            Box::pin(book_keeper.run()),
            Box::pin(async move {
                let observers = Observers { metrics: &metrics, traces: &traces, client_book: &client_book };
                feed::follow(&backend, &hub, observers, &link).await
            }),
            Box::pin(async move { cursors.run().await }),
            Box::pin(async move { announce(&announcing).await }),
            Box::pin(async move { report(&reporting, &notifier, tls_problem).await }),
        ];
        if let Some(tls) = tls {
            tasks.spawn(tls.follow(stop.clone(), move |now| drop(problem.send_replace(now))));
        }
        for worker in workers {
            tasks.spawn(stop.clone().run_until_cancelled_owned(worker.run()));
        }
        for work in works {
            tasks.spawn(stop.clone().run_until_cancelled_owned(work));
        }
        Self { tasks, stop, link: link_watch }
    }

    /// Waits for the first attempt to reach the message API, at most [`FIRST_LINK`].
    async fn first_link(&self) {
        let mut link = self.link.clone();
        let tried = link.wait_for(|link| *link != Link::Untried);
        if !matches!(tokio::time::timeout(FIRST_LINK, tried).await, Ok(Ok(link)) if *link == Link::Up) {
            tracing::warn!(
                "the message API does not answer yet; people are let in and caught up when it does"
            );
        }
    }

    fn serve_http(&self, listener: TcpListener, server: &Arc<Server>) {
        self.tasks.spawn(http::serve(listener, Arc::clone(server), self.link.clone()));
    }

    async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

async fn announce(hub: &Hub) {
    let mut tick = tokio::time::interval(PRESENCE_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        hub.announce_presence();
    }
}

/// Reports the number of sessions and users, and why a new certificate is not used.
async fn report(hub: &Hub, notifier: &Notifier, tls_problem: watch::Receiver<Option<String>>) {
    let mut told = None;
    let mut tick = tokio::time::interval(STATUS_EVERY);
    loop {
        tick.tick().await;
        let (sessions, users) = hub.counts();
        let problem = tls_problem.borrow().as_ref().map(|problem| format!("; {problem}")).unwrap_or_default();
        let status = format!("{sessions} sessions, {users} users{problem}");
        if told.as_ref() != Some(&status) {
            notifier.status(&status);
            told = Some(status);
        }
    }
}
