//! The way to the message API, which can be cut or blocked.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// What happens to connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Open,
    /// Closed at once, as by a process that is gone.
    Cut,
    /// Taken and never answered, as by a process that hangs.
    Blocked,
}

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    way: Arc<watch::Sender<Way>>,
    _task: AbortOnDropHandle<()>,
}

impl Proxy {
    pub(crate) async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let way = Arc::new(watch::Sender::new(Way::Open));
        let watch = way.subscribe();
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(forward(client, target, watch.clone()));
            }
        });
        Self { address, way, _task: AbortOnDropHandle::new(task) }
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

async fn forward(mut client: TcpStream, target: SocketAddr, mut way: watch::Receiver<Way>) {
    let now = *way.borrow_and_update();
    let forward = async {
        match now {
            Way::Cut => {}
            Way::Blocked => std::future::pending().await,
            Way::Open => {
                if let Ok(mut server) = TcpStream::connect(target).await {
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                }
            }
        }
    };
    tokio::select! {
        () = forward => {}
        // A change ends what was open before it, but what hangs goes on hanging until it is cut.
        _ = way.wait_for(|way| *way != now) => {}
    }
}
