//! Watches the networks that this machine is on.

use std::sync::Arc;
use std::time::Duration;

use super::state::Node;
use crate::choice::Choice;
use crate::interfaces::Interfaces;

/// The polling interval; bounds the delay before this machine is announced on a new network.
const LOOK: Duration = Duration::from_secs(2);
/// Polls the interfaces every [`LOOK`], for ever.
pub(crate) async fn watch_networks(node: Arc<Node>) {
    let mut ticks = tokio::time::interval(LOOK);
    let choice = Choice::of(&node.config.interfaces);
    loop {
        ticks.tick().await;
        match Interfaces::look(&choice) {
            Ok(now) => {
                node.interfaces.send_if_modified(|known| {
                    let is_new = *known != now;
                    if is_new {
                        tracing::info!(networks = now.names().join(", "), "using these networks");
                        *known = now;
                    }
                    is_new
                });
            }
            Err(error) => tracing::warn!(%error, "cannot list the network interfaces"),
        }
    }
}
