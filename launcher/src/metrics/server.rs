//! Serves the launcher's numbers at `/metrics`, with `/healthz` and `/readyz`, where `launcher.metrics-listen` says.
//!
//! It has a thread of its own, and asks the supervisor over the control socket as everybody else does, at most once a second: a
//! flood of questions costs the supervisor nothing.

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

/// What was found out is told again for so long.
const FRESH: Duration = Duration::from_secs(1);

/// The server; dropped, it ends.
#[derive(Debug)]
pub struct MetricsServer {
    end: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

/// What the last question was answered with.
struct Looker {
    data: PathBuf,
    meter: Meter,
    last: Option<(Instant, Snapshot)>,
}

impl MetricsServer {
    /// Begins to serve the launcher on a data directory.
    ///
    /// # Errors
    /// When the address cannot be listened on, or there can be no more threads.
    pub fn start(address: SocketAddr, data: PathBuf) -> Result<Self, Failure> {
        let listener = kit::listen::open(address)?;
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let end = CancellationToken::new();
        let ended = end.clone();
        let looker = Arc::new(Mutex::new(Looker { data, meter: Meter::default(), last: None }));
        let serve = move || {
            runtime.block_on(async {
                match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => {
                        kit::http::serve(listener, kit::http::guarded(router(looker)), ended).await;
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
            // A panic in there has been said already, and concerns nobody else.
            let _ = thread.join();
        }
    }
}

fn router(looker: Arc<Mutex<Looker>>) -> Router {
    let other = Arc::clone(&looker);
    let readyz = async move || match look(&other).await {
        Some(snapshot) if snapshot.is_healthy() => (StatusCode::OK, "ready\n"),
        Some(_) | None => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
    };
    let metrics = async move || -> Response {
        let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
        match look(&looker).await {
            Some(snapshot) => (kind, exposition(&snapshot)).into_response(),
            None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        }
    };
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
}

async fn look(looker: &Mutex<Looker>) -> Option<Snapshot> {
    let mut looker = looker.lock().await;
    if let Some((at, snapshot)) = &looker.last
        && at.elapsed() < FRESH
    {
        return Some(snapshot.clone());
    }
    let Ok(Answer::Status { mut snapshot }) = control::request(&looker.data, &Request::Status).await else {
        return None;
    };
    looker.meter.measure(&mut snapshot);
    looker.last = Some((Instant::now(), snapshot.clone()));
    Some(snapshot)
}
