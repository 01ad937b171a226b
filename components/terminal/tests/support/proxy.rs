//! A proxy between the client and its server that a test can interrupt, also during a conversation.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// A proxy.
pub(crate) struct Wire {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Drops both directions.
    cut: AtomicBool,
    /// Drops answers: the client's messages arrive, but the client does not learn it.
    deaf: AtomicBool,
    changed: Notify,
}

impl Wire {
    /// A proxy to a server, interrupted at first.
    pub(crate) async fn cut_to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<State>::default();
        state.cut.store(true, Ordering::SeqCst);
        tokio::spawn({
            let state = Arc::clone(&state);
            async move {
                loop {
                    let (client, _) = listener.accept().await.unwrap();
                    if !state.cut.load(Ordering::SeqCst) {
                        tokio::spawn(carry(client, server, Arc::clone(&state)));
                    }
                }
            }
        });
        Self { address, state }
    }

    pub(crate) fn mend(&self) {
        self.state.deaf.store(false, Ordering::SeqCst);
        self.state.cut.store(false, Ordering::SeqCst);
    }

    /// Closes the connections, and loses what the client has not received yet.
    pub(crate) fn cut(&self) {
        self.state.cut.store(true, Ordering::SeqCst);
        self.state.changed.notify_waiters();
    }

    /// Drops answers from now on.
    pub(crate) fn deafen(&self) {
        self.state.deaf.store(true, Ordering::SeqCst);
    }
}

async fn carry(mut client: TcpStream, server: SocketAddr, state: Arc<State>) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let (mut to_server, mut to_client) = (vec![0; 4096], vec![0; 4096]);
    loop {
        // Before the look: a cut while bytes were carried would not be noticed otherwise.
        let changed = state.changed.notified();
        if state.cut.load(Ordering::SeqCst) {
            return;
        }
        tokio::select! {
            () = changed => return,
            read = client.read(&mut to_server) => match read {
                Ok(length @ 1..) => server.write_all(&to_server[..length]).await.unwrap(),
                _ => return,
            },
            read = server.read(&mut to_client) => match read {
                Ok(length @ 1..) => {
                    let heard = !state.deaf.load(Ordering::SeqCst);
                    if heard && client.write_all(&to_client[..length]).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
        }
    }
}
