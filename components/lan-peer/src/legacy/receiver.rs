//! Receives legacy messages: a connection is accepted, read to its end or [`BODY_BYTES`], stored, and closed.
//!
//! Bounds: [`TOTAL`] connections, [`PER_ADDRESS`] from one address, [`MESSAGES`] per second sustained from one address; [`AcceptLimit`]
//! closes the others unread. Everything is counted.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use kit::listen::ListenError;
use kit::places::{Place, Places};
use protocol::lan::PeerKey;
use protocol::lan::received::{Fault, Received};
use protocol::lan::view::State;
use protocol::limits::BODY_BYTES;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout, timeout_at};

use crate::accept_limit::AcceptLimit;
use crate::book::Evidence;
use crate::node::{Node, SightingResult};
use crate::store::Draft;

/// Most connections at once.
const TOTAL: usize = 64;
/// Additional connections from familiar addresses, not available to strangers.
const FAMILIAR: usize = 32;
/// Most connections from one address at once.
const PER_ADDRESS: usize = 8;
/// Messages per second from one address, sustained; the burst is enough for the largest text in parts.
const MESSAGES: u32 = 20;
const BURST: u32 = 60;
/// How long a sender may pause in a message.
const IDLE: Duration = Duration::from_secs(2);
/// Time limit for a complete message.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(10);
/// Delay before retrying a port that is in use.
const RETRY: Duration = Duration::from_secs(5);

/// The places, and those reserved for familiar addresses.
struct Reserved {
    all: Places,
    familiar: Places,
}

impl Reserved {
    fn new() -> Self {
        let [all, familiar] = [TOTAL, FAMILIAR].map(|total| Places::on_local_network(total, PER_ADDRESS));
        Self { all, familiar }
    }

    fn take(&self, ip: IpAddr, is_familiar: bool) -> Option<Place> {
        let reserved = |no_place| if is_familiar { self.familiar.take(ip) } else { Err(no_place) };
        self.all.take(ip).or_else(reserved).ok()
    }
}

/// Opens the port.
pub(crate) async fn open(port: u16) -> Result<TcpListener, ListenError> {
    kit::listen::bind((Ipv4Addr::UNSPECIFIED, port).into()).await
}

/// Receives messages, for ever; retries if the port could not be opened.
pub(crate) async fn listen(node: Arc<Node>, mut opened: Result<TcpListener, ListenError>) {
    let (mut accept_limit, places) = (AcceptLimit::new(MESSAGES, BURST), Reserved::new());
    loop {
        match opened {
            Ok(listener) => {
                node.troubles().receiver_error = None;
                accept(&node, &listener, &mut accept_limit, &places).await;
            }
            Err(error) => {
                node.troubles().receiver_error = Some(error.to_string());
                tracing::warn!("{error}; cannot receive unencrypted messages; retrying");
                tokio::time::sleep(RETRY).await;
            }
        }
        opened = open(node.config.tcp_port).await;
    }
}

async fn accept(node: &Arc<Node>, listener: &TcpListener, accept_limit: &mut AcceptLimit, places: &Reserved) {
    AcceptLimit::shorten(listener);
    loop {
        let (is_familiar, refused) = (|ip| node.is_familiar_place(ip), &node.counters.old_refused);
        let place = |ip, is_familiar| places.take(ip, is_familiar);
        let (stream, ip, place) = accept_limit.admit(listener, refused, is_familiar, place).await;
        tokio::spawn(take(Arc::clone(node), stream, ip, place));
    }
}

/// Handles a connection with one message. Bounded in time, so it needs no shutdown signal.
async fn take(node: Arc<Node>, stream: TcpStream, ip: IpAddr, place: Place) {
    // Its presence may not reach us, but a TCP connection proves that it is online at this address.
    if matches!(node.record_sighting(ip, Evidence::Message), SightingResult::Nobody) {
        node.counters.old_refused.add(1);
        return;
    }
    let message = read(stream).await;
    drop(place);
    let counters = &node.counters;
    let Some(body) = message.text() else {
        counters.old_empty.add(1);
        return;
    };
    let faults = message.faults();
    for fault in &faults {
        match fault {
            Fault::Cut => counters.old_cut.add(1),
            Fault::NotUtf8 => counters.old_not_utf8.add(1),
            Fault::Unfinished => counters.old_unfinished.add(1),
        }
    }
    let remark =
        (!faults.is_empty()).then(|| faults.iter().map(|fault| fault.text()).collect::<Vec<_>>().join(", "));
    let body = body.as_str().to_owned();
    let draft = Draft { peer: PeerKey::Legacy(ip), body, state: State::Received, remark };
    let kept = match node.store.insert_message(draft).await {
        Ok(entry) => node.record_message(entry).await,
        Err(error) => Err(error),
    };
    match kept {
        Ok(()) => counters.old_received.add(1),
        Err(error) => {
            counters.old_lost.add(1);
            node.report_store_error(&error);
        }
    }
}

async fn read(mut stream: TcpStream) -> Received {
    let deadline = Instant::now() + MESSAGE_TIMEOUT;
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let is_complete = match timeout_at(deadline, timeout(IDLE, stream.read(&mut chunk))).await {
            Ok(Ok(Ok(0))) => true,
            Ok(Ok(Ok(length))) => {
                bytes.extend_from_slice(&chunk[..length]);
                if bytes.len() <= BODY_BYTES {
                    continue;
                }
                true
            }
            Ok(Ok(Err(_)) | Err(_)) | Err(_) => false,
        };
        return Received { bytes, is_complete };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_familiar_address_gets_in_when_strangers_have_taken_all_places() {
        let places = Reserved::new();
        let ip = |n: u8| IpAddr::from([10, 0, 0, n]);
        let taken: Vec<Place> =
            (1..=9).flat_map(|n| [n; PER_ADDRESS]).filter_map(|n| places.take(ip(n), false)).collect();
        assert_eq!(taken.len(), TOTAL);
        assert!(places.take(ip(20), false).is_none());
        let known: Vec<Place> = (0..FAMILIAR).map_while(|_| places.take(ip(20), true)).collect();
        assert_eq!(known.len(), PER_ADDRESS, "an address that is known has no more than its share");
        assert!(places.take(ip(21), false).is_none());
    }
}
