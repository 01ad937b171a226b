//! lan-peer: chat between machines on one local network, without a server.
//!
//! * [`config`] is the configuration. `node` is the state that all parts share: the `store`, the `book` of known peers, counters.
//! * `presence` announces this node and receives others' announcements; `interfaces` are this machine's networks, selected by `choice`.
//! * `secure` is the protocol between nodes: encrypted, authenticated, acknowledged.
//! * `legacy` is the protocol of existing programs: one TCP connection per message, unencrypted.
//! * `doctor` diagnoses why no peers are found.
//! * `http` is for this machine only: the page, its API, and the legacy endpoints.
//!
//! Independent of other components. All network input is treated as hostile; docs/design/lan.md has all bounds.

pub mod config;

mod accept_limit;
mod book;
mod choice;
mod doctor;
mod http;
mod interfaces;
mod legacy;
mod metrics;
mod name;
mod node;
mod presence;
mod private;
mod secure;
mod store;

use std::sync::Arc;

use kit::{Context, Failure, Running};
use tokio::sync::mpsc;

pub use config::Config;

use crate::node::{Node, Place};
use crate::secure::{dialler, listener, mdns};

/// Runs until `context.shutdown`.
///
/// # Errors
/// When the configuration is invalid, the page's address is in use, or the store or the identity cannot be opened.
pub fn run(config: Config, context: Context) -> Running {
    Box::pin(serve(config, context))
}

async fn serve(config: Config, context: Context) -> Result<(), Failure> {
    config.validate()?;
    let (sockets, inlet) = (presence::open(config.udp_port), legacy::receiver::open(config.tcp_port).await);
    let secure = listener::open(config.secure_port).await?;
    let page = kit::listen::bind(config.listen).await?;
    let (address, port) = (page.local_addr()?, secure.local_addr()?.port());
    let (hints, hinted) = mpsc::channel(dialler::HINTS);
    let place = Place { data: &context.data, port, hints, shutdown: context.shutdown.clone() };
    let node = Arc::new(Node::open(config, place).await?);
    node.spawn(node::watch_networks(Arc::clone(&node)));
    node.spawn(presence::announce::run(Arc::clone(&node)));
    node.spawn(presence::receiver::run(Arc::clone(&node), sockets));
    node.spawn(legacy::receiver::listen(Arc::clone(&node), inlet));
    node.spawn(listener::listen(Arc::clone(&node), secure));
    node.spawn(dialler::run(Arc::clone(&node), hinted));
    node.spawn(mdns::run(Arc::clone(&node)));
    node.spawn(node::tell_changes(Arc::clone(&node)));
    tracing::info!(%address, port, name = node.name(), id = node.me.short(), "on the network");
    context.notifier.ready(&format!("serving http://{address}"));
    let router = http::router(Arc::clone(&node), context.shutdown.clone());
    kit::http::serve(page, router, context.shutdown).await;
    node.drained().await;
    Ok(())
}
