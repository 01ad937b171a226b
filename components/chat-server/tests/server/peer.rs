//! A client at the other end of a connection.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::world::PATIENCE;

pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    read: Vec<u8>,
}

impl Peer {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, read: Vec::new() }
    }

    /// With a receive buffer as small as the system allows.
    pub(crate) async fn connect_small(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        Self { stream: socket.connect(address).await.unwrap(), read: Vec::new() }
    }

    /// Drops everything received from now on, so that TCP acknowledges nothing, as for a client whose machine lost power.
    #[cfg(target_os = "linux")]
    pub(crate) fn vanish(&self) {
        let drop_all = [socket2::SockFilter::new(6, 0, 0, 0)];
        socket2::SockRef::from(&self.stream).attach_filter(&drop_all).unwrap();
    }

    /// Connects, and receives nothing but acknowledgements: the server's output is in flight until [`Self::lift_filter`].
    #[cfg(target_os = "linux")]
    pub(crate) async fn connect_behind_a_filter(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        filter(&socket2::SockRef::from(&socket));
        Self { stream: socket.connect(address).await.unwrap(), read: Vec::new() }
    }

    /// The same from now on.
    #[cfg(target_os = "linux")]
    pub(crate) fn filter(&self) {
        filter(&socket2::SockRef::from(&self.stream));
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn lift_filter(&self) {
        socket2::SockRef::from(&self.stream).detach_filter().unwrap();
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.send_bytes(text.as_bytes()).await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Exactly these bytes come next.
    pub(crate) async fn expect(&mut self, text: &str) {
        while self.read.len() < text.len() {
            if !self.fill().await {
                break;
            }
        }
        let length = self.read.len().min(text.len());
        let got: Vec<u8> = self.read.drain(..length).collect();
        assert_eq!(String::from_utf8_lossy(&got), text);
    }

    /// Whether these bytes come next.
    pub(crate) async fn hears(&mut self, text: &str) -> bool {
        while self.read.len() < text.len() && self.fill().await {}
        let found = self.read.starts_with(text.as_bytes());
        self.read.drain(..self.read.len().min(text.len()));
        found
    }

    /// The next bytes, whatever they are.
    pub(crate) async fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.read.len() < count {
            assert!(self.fill().await, "closed after {:?}", String::from_utf8_lossy(&self.read));
        }
        self.read.drain(..count).collect()
    }

    /// The next line, with its end.
    pub(crate) async fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.read.iter().position(|b| *b == b'\n') {
                let line = self.read.drain(..=end).collect();
                return String::from_utf8(line).unwrap();
            }
            assert!(self.fill().await, "closed after {:?}", String::from_utf8_lossy(&self.read));
        }
    }

    /// The next live line's sender and text.
    pub(crate) async fn live(&mut self) -> (String, String) {
        let line = self.line().await;
        let (sender, rest) = line.strip_prefix('[').unwrap().split_once("][").unwrap();
        assert_ne!(sender, "Stored", "{line}");
        let (_time, text) = rest.split_once("] ").unwrap();
        (sender.to_owned(), text.trim_end_matches('\n').to_owned())
    }

    /// The next stored line's sender and text.
    pub(crate) async fn stored(&mut self) -> (String, String) {
        let line = self.line().await;
        let rest = line.strip_prefix("[Stored] [CHAT][").unwrap_or_else(|| panic!("{line}"));
        let (_time, rest) = rest.split_once("][").unwrap();
        let (sender, text) = rest.split_once("] ").unwrap();
        (sender.to_owned(), text.strip_suffix(" \n").unwrap().to_owned())
    }

    /// The next line's text, live or stored.
    pub(crate) async fn said(&mut self) -> String {
        let line = self.line().await;
        let text = line.trim_end_matches('\n');
        let (head, text) = text.split_once("] ").unwrap();
        match head {
            "[Stored" => text.split_once("] ").unwrap().1.strip_suffix(' ').unwrap().to_owned(),
            _ => text.to_owned(),
        }
    }

    /// The next frame.
    pub(crate) async fn frame(&mut self) -> Value {
        serde_json::from_str(&self.line().await).unwrap()
    }

    /// The next frame of this type; others are skipped.
    pub(crate) async fn frame_of(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.frame().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// The server closes without further output.
    pub(crate) async fn closed(&mut self) {
        assert!(!self.fill().await && self.read.is_empty(), "{:?}", String::from_utf8_lossy(&self.read));
    }

    /// Nothing was sent to us: the next thing received is the answer to a request made now.
    pub(crate) async fn heard_nothing(&mut self) {
        self.send("is anything there\n").await;
        self.expect("Invalid format. Use: TO_USERNAME: MESSAGE\n").await;
    }

    async fn fill(&mut self) -> bool {
        let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.read)).await;
        match read.unwrap_or_else(|_| panic!("nothing came after {:?}", String::from_utf8_lossy(&self.read)))
        {
            Ok(count) => count > 0,
            Err(error) => panic!("the connection broke: {error}"),
        }
    }
}

impl Peer {
    /// The first output of the server.
    pub(crate) async fn line_or_prompt(&mut self) -> String {
        self.fill().await;
        String::from_utf8(std::mem::take(&mut self.read)).unwrap()
    }
}

/// Drops segments that are longer than any without data: a header has 20 bytes, and its options here at most 20.
#[cfg(target_os = "linux")]
fn filter(socket: &socket2::SockRef<'_>) {
    const LOAD_LENGTH: u16 = 0x80;
    const JUMP_IF_GREATER: u16 = 0x25;
    const RETURN: u16 = 0x06;
    let program = [
        socket2::SockFilter::new(LOAD_LENGTH, 0, 0, 0),
        socket2::SockFilter::new(JUMP_IF_GREATER, 0, 1, 40),
        socket2::SockFilter::new(RETURN, 0, 0, 0),
        socket2::SockFilter::new(RETURN, 0, 0, u32::MAX),
    ];
    socket.attach_filter(&program).unwrap();
}
