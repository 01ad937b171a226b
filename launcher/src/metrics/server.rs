//! Serves the launcher's metrics at `/metrics`, with `/healthz` and `/readyz`, at `launcher.metrics-listen`.
//!
//! It has a thread of its own, and asks the supervisor over the control socket like any other client, at most once a second: many requests
//! do not load the supervisor.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use kit::Failure;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::exposition;
use crate::supervisor::Snapshot;
use crate::supervisor::control::{self, Request, Response as Answer};
use crate::supervisor::load::Meter;

/// How long a status is cached.
const FRESH: Duration = Duration::from_secs(1);

/// The server; it stops when dropped.
#[derive(Debug)]
pub struct MetricsServer {
    end: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

/// The cached status.
struct StatusCache {
    data: PathBuf,
    meter: Meter,
    last: Option<(Instant, Snapshot)>,
}

impl MetricsServer {
    /// Starts the server for the launcher on this data directory.
    ///
    /// # Errors
    /// If the address cannot be bound, or no thread can be created.
    pub fn start(address: SocketAddr, data: PathBuf) -> Result<Self, Failure> {
        let listener = kit::listen::open(address)?;
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let end = CancellationToken::new();
        let ended = end.clone();
        let cache = Arc::new(Mutex::new(StatusCache { data, meter: Meter::default(), last: None }));
        let serve = move || {
            runtime.block_on(async {
                match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => {
                        kit::http::serve(listener, kit::http::guarded(router(cache)), ended).await;
                    }
                    Err(error) => tracing::error!(%error, "cannot serve the launcher's metrics"),
                }
            });
        };
        let thread = std::thread::Builder::new().name("metrics".to_owned()).spawn(serve)?;
        tracing::info!(%address, "serving the launcher's metrics");
        Ok(Self { end, thread: Some(thread) })
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        self.end.cancel();
        if let Some(thread) = self.thread.take() {
            // A panic in the thread was logged, and concerns nothing else.
            let _ = thread.join();
        }
    }
}

fn router(cache: Arc<Mutex<StatusCache>>) -> Router {
    let other = Arc::clone(&cache);
    let readyz = async move || match status(&other).await {
        Some(snapshot) if snapshot.is_healthy() => (StatusCode::OK, "ready\n"),
        Some(_) | None => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
    };
    let metrics = async move || -> Response {
        let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
        match status(&cache).await {
            Some(snapshot) => (kind, exposition(&snapshot)).into_response(),
            None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        }
    };
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
}

async fn status(cache: &Mutex<StatusCache>) -> Option<Snapshot> {
    let mut cache = cache.lock().await;
    if let Some((at, snapshot)) = &cache.last
        && at.elapsed() < FRESH
    {
        return Some(snapshot.clone());
    }
    let Ok(Answer::Status { mut snapshot }) = control::request(&cache.data, &Request::Status).await else {
        return None;
    };
    cache.meter.measure(&mut snapshot);
    cache.last = Some((Instant::now(), snapshot.clone()));
    Some(snapshot)
}
