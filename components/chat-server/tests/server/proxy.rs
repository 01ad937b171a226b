//! The connection to the message API, which can be cut or blocked, and counts requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// What happens to connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Open,
    /// Closed at once, as by a killed process.
    Cut,
    /// Accepted and never answered, as by a process that hangs.
    Blocked,
}

/// The requests, and their delay.
#[derive(Debug, Default)]
struct Counts {
    reads: AtomicUsize,
    late_millis: AtomicU64,
}

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    way: Arc<watch::Sender<Way>>,
    counts: Arc<Counts>,
    _task: AbortOnDropHandle<()>,
}

impl Proxy {
    pub(crate) async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let way = Arc::new(watch::Sender::new(Way::Open));
        let watch = way.subscribe();
        let counts = Arc::new(Counts::default());
        let counter = Arc::clone(&counts);
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(forward(client, target, watch.clone(), Arc::clone(&counter)));
            }
        });
        Self { address, way, counts, _task: AbortOnDropHandle::new(task) }
    }

    /// How often something was read so far, the feed included.
    pub(crate) fn reads(&self) -> usize {
        self.counts.reads.load(Ordering::SeqCst)
    }

    /// Delays each request.
    pub(crate) fn delay(&self, by: Duration) {
        self.counts.late_millis.store(by.as_millis().try_into().unwrap(), Ordering::SeqCst);
    }

    pub(crate) fn open(&self) {
        self.way.send_replace(Way::Open);
    }

    pub(crate) fn cut(&self) {
        self.way.send_replace(Way::Cut);
    }

    pub(crate) fn block(&self) {
        self.way.send_replace(Way::Blocked);
    }
}

async fn forward(client: TcpStream, target: SocketAddr, mut way: watch::Receiver<Way>, counts: Arc<Counts>) {
    let now = *way.borrow_and_update();
    let forward = async {
        match now {
            Way::Cut => {}
            Way::Blocked => std::future::pending().await,
            Way::Open => {
                if let Ok(server) = TcpStream::connect(target).await {
                    let (mut answers, questions) = server.into_split();
                    let (asks, mut hears) = client.into_split();
                    let answering = async {
                        copy(&mut answers, &mut hears).await?;
                        hears.shutdown().await
                    };
                    let _ = tokio::try_join!(ask(asks, questions, &counts), answering);
                }
            }
        }
    };
    tokio::select! {
        () = forward => {}
        // A change closes open connections, but hanging ones stay until they are cut.
        _ = way.wait_for(|way| *way != now) => {}
    }
}

/// Forwards a request. One without a body is written in one piece.
async fn ask(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, counts: &Counts) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        if buffer.starts_with(b"GET ") {
            counts.reads.fetch_add(1, Ordering::SeqCst);
        }
        tokio::time::sleep(Duration::from_millis(counts.late_millis.load(Ordering::SeqCst))).await;
        to.write_all(&buffer[..count]).await?;
    }
}
