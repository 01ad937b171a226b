//! Hands messages over: each part a connection of its own, one after another, so that they arrive in order.
//!
//! Nothing is ever sent to find out whether somebody is there: the old kind shows each connection as a message, an empty one, too.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use protocol::Body;
use protocol::lan::PeerKey;
use protocol::lan::old::parts;
use protocol::lan::view::{Entry, State};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::node::Node;
use crate::store::{Draft, StoreError};

/// How long a connection may take; beyond it the peer is not there.
const CONNECT: Duration = Duration::from_secs(3);
/// How long the other side may take to close, too. Some never do; then it is time enough to have read.
const CLOSE: Duration = Duration::from_millis(150);

/// Who is being sent to. Each address has one turn at a time; a turn that nobody waits for is forgotten.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<IpAddr, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    fn of(&self, ip: IpAddr) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.lock().expect("nobody panics while holding this lock");
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(ip).or_default())
    }
}

/// Sends a text, and keeps what became of it. It is not tried again: the address may be somebody else's by then.
pub(crate) async fn send(node: &Node, ip: IpAddr, body: &Body) -> Result<Entry, StoreError> {
    let turn = node.turns.of(ip);
    let turn = turn.lock().await;
    let parts = parts(body);
    let mut gone = 0;
    let mut failure = None;
    for part in &parts {
        match hand_over((ip, node.config.tcp_port).into(), part.as_bytes()).await {
            Ok(()) => gone += 1,
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    drop(turn);
    let (state, remark) = match failure {
        None if parts.len() > 1 => (State::Sent, Some(format!("in {} parts", parts.len()))),
        None => (State::Sent, None),
        Some(error) if gone > 0 => {
            (State::Failed, Some(format!("{error}; {gone} of {} parts went out", parts.len())))
        }
        Some(error) => (State::Failed, Some(error.to_string())),
    };
    match state {
        State::Failed => node.counters.old_failed.add(1),
        State::Sent | State::Received | State::Queued | State::Delivered => node.counters.old_sent.add(1),
    }
    let draft = Draft { peer: PeerKey::Old(ip), body: body.as_str().to_owned(), state, remark };
    let entry = node.store.keep(draft).await?;
    node.said(entry.clone()).await?;
    Ok(entry)
}

/// In one segment, for the other side reads once and no more.
async fn hand_over(to: SocketAddr, part: &[u8]) -> std::io::Result<()> {
    let mut stream = timeout(CONNECT, TcpStream::connect(to)).await??;
    stream.set_nodelay(true)?;
    timeout(CONNECT, stream.write_all(part)).await??;
    stream.shutdown().await?;
    // What it answers, if anything, is not for us.
    let _ = timeout(CLOSE, stream.read(&mut [0; 64])).await;
    Ok(())
}
