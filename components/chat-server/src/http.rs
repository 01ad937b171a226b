//! The HTTP endpoints, if enabled: `/healthz`, `/readyz` (whether the feed of the message API is connected) and `/metrics`.

use std::net::SocketAddr;
use std::sync::Arc;

use kit::listen::ListenError;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::delivery::feed::Link;
use crate::server::Server;

/// Binds the HTTP listener, if one is configured.
pub(crate) async fn bind(address: Option<SocketAddr>) -> Result<Option<TcpListener>, ListenError> {
    match address {
        Some(address) => kit::listen::bind(address).await.map(Some),
        None => Ok(None),
    }
}

/// Serves HTTP until the server stops.
pub(crate) async fn serve(listener: TcpListener, server: Arc<Server>, link: watch::Receiver<Link>) {
    let shutdown = server.shutdown.clone();
    let is_up = move || *link.borrow() == Link::Up;
    let ready = is_up.clone();
    let router = kit::http::health(ready, move || server.metrics.render(server.hub.counts(), is_up()));
    kit::http::serve(listener, kit::http::guarded(router), shutdown).await;
}
