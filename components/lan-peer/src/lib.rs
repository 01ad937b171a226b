//! lan-peer: people on one network talk without any server.
//!
//! * [`config`] is what an operator may set. `node` is what all parts share: the `store`, the `book` of who is there, counters.
//! * `presence` tells the network that we are here and hears who else is; `interfaces` are the networks that we are on.
//! * `old` speaks with programs of the old kind: one TCP connection a message, in the clear.
//! * `http` is for this machine alone: the page, its API, and the endpoints that the old kind serves.
//!
//! Needs no other component. Every byte from the network is hostile until it is understood; docs/design/lan.md has all bounds.

pub mod config;

mod book;
mod http;
mod interfaces;
mod metrics;
mod name;
mod node;
mod old;
mod presence;
mod store;

use std::sync::Arc;

use kit::{Context, Failure};
use tokio_util::task::TaskTracker;

pub use config::Config;

use crate::node::Node;

/// Where messages are kept, below the data directory.
const STORE: &str = "lan-peer.db";

/// Talks with the network until `context.shutdown`.
///
/// # Errors
/// When a setting cannot be, the page's address is taken, or the store cannot be opened.
pub async fn run(config: Config, context: Context) -> Result<(), Failure> {
    config.validate()?;
    let (ear, inlet) = (presence::open(config.udp_port), old::inlet::open(config.tcp_port).await);
    let listener = kit::listen::bind(config.listen).await?;
    let address = listener.local_addr()?;
    let node = Arc::new(Node::open(config, &context.data.join(STORE)).await?);
    let tasks = TaskTracker::new();
    let until_the_end = |task: node::Task| {
        let shutdown = context.shutdown.clone();
        tasks.spawn(async move { shutdown.run_until_cancelled(task).await });
    };
    until_the_end(Box::pin(interfaces::watch(Arc::clone(&node))));
    until_the_end(Box::pin(presence::announce(Arc::clone(&node))));
    until_the_end(Box::pin(presence::listen(Arc::clone(&node), ear)));
    until_the_end(Box::pin(old::inlet::listen(Arc::clone(&node), inlet)));
    until_the_end(Box::pin(node::tell_changes(Arc::clone(&node))));
    tracing::info!(%address, name = node.name(), "on the network");
    context.notifier.ready(&format!("serving http://{address}"));
    kit::http::serve(listener, http::router(node, context.shutdown.clone()), context.shutdown).await;
    tasks.close();
    // All of them end at their next wait.
    tasks.wait().await;
    Ok(())
}
