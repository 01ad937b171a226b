//! lan-peer: people on one network talk without any server.
//!
//! * [`config`] is what an operator may set. `node` is what all parts share: the `store`, the `book` of who is there, counters.
//! * `presence` tells the network that we are here and hears who else is; `interfaces` are the networks that
//!   we are on, by the `choice` of the operator.
//! * `secure` is what our own nodes speak among each other: encrypted, proved, acknowledged.
//! * `old` speaks with programs of the old kind: one TCP connection a message, unencrypted.
//! * `doctor` says why nobody is found.
//! * `http` is for this machine alone: the page, its API, and the endpoints that the old kind serves.
//!
//! Needs no other component. Every byte from the network is hostile until it is understood; docs/design/lan.md has all bounds.

pub mod config;

mod accept_limit;
mod book;
mod choice;
mod doctor;
mod http;
mod interfaces;
mod metrics;
mod name;
mod node;
mod old;
mod presence;
mod private;
mod secure;
mod store;

use std::sync::Arc;

use kit::{Context, Failure};
use tokio::sync::mpsc;

pub use config::Config;

use crate::node::{Node, Place};
use crate::secure::{dialler, listener, mdns};

/// Talks with the network until `context.shutdown`.
///
/// # Errors
/// When a setting cannot be, the page's address is taken, or the store or the identity cannot be opened.
pub async fn run(config: Config, context: Context) -> Result<(), Failure> {
    config.validate()?;
    let (sockets, inlet) = (presence::open(config.udp_port), old::inlet::open(config.tcp_port).await);
    let secure = listener::open(config.secure_port).await?;
    let page = kit::listen::bind(config.listen).await?;
    let (address, port) = (page.local_addr()?, secure.local_addr()?.port());
    let (hints, hinted) = mpsc::channel(dialler::HINTS);
    let place = Place { data: &context.data, port, hints, shutdown: context.shutdown.clone() };
    let node = Arc::new(Node::open(config, place).await?);
    node.spawn(node::watch_networks(Arc::clone(&node)));
    node.spawn(presence::announce::run(Arc::clone(&node)));
    node.spawn(presence::receiver::run(Arc::clone(&node), sockets));
    node.spawn(old::inlet::listen(Arc::clone(&node), inlet));
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
