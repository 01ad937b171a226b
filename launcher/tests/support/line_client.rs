//! A plain TCP client like `nc`, with assertions to the byte.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::PATIENCE;

/// One connection to the chat port.
pub struct LineClient {
    stream: TcpStream,
    received: String,
}

impl LineClient {
    /// Connects and waits for the prompt.
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut client = Self { stream, received: String::new() };
        client.expect("Enter your username: ");
        client
    }

    /// Logs in and returns the greeting line.
    pub fn login(address: SocketAddr, name: &str) -> (Self, String) {
        let mut client = Self::connect(address);
        client.send(&format!("{name}\n"));
        let greeting = client.line();
        assert!(greeting.starts_with("Connected! Users online: "), "{greeting}");
        (client, greeting)
    }

    /// Its address as the server sees it.
    pub fn address(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    pub fn send(&mut self, bytes: &str) {
        self.stream.write_all(bytes.as_bytes()).unwrap();
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Waits for exactly these bytes, with or without a newline.
    pub fn expect(&mut self, text: &str) {
        while self.received.len() < text.len() {
            assert!(self.read(PATIENCE), "the connection ended; wanted {text:?}, got {:?}", self.received);
        }
        assert!(self.received.starts_with(text), "wanted {text:?}, got {:?}", self.received);
        self.received.drain(..text.len());
    }

    /// Waits for these bytes, skipping everything before them.
    pub fn until(&mut self, text: &str) {
        while !self.received.contains(text) {
            assert!(self.read(PATIENCE), "the connection ended; wanted {text:?}, got {:?}", self.received);
        }
        let end = self.received.find(text).expect("it is there") + text.len();
        self.received.drain(..end);
    }

    /// The next line, its end included.
    pub fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.received.find('\n') {
                return self.received.drain(..=end).collect();
            }
            assert!(self.read(PATIENCE), "the connection ended within a line: {:?}", self.received);
        }
    }

    /// The next line, if one arrives at once.
    pub fn line_soon(&mut self) -> Option<String> {
        self.stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(count) => self.received.push_str(std::str::from_utf8(&buffer[..count]).unwrap()),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "{error}"),
        }
        self.received.contains('\n').then(|| self.line())
    }

    /// Everything until the server closes.
    pub fn rest(&mut self) -> String {
        while self.read(PATIENCE) {}
        std::mem::take(&mut self.received)
    }

    /// Whether there is no unread input: after a round trip to the thermometer, so that earlier output would have arrived.
    pub fn has_nothing_more(&mut self) -> bool {
        self.send("no colon, so answered at once\n");
        self.line() == "Invalid format. Use: TO_USERNAME: MESSAGE\n" && self.received.is_empty()
    }

    fn read(&mut self, patience: Duration) -> bool {
        self.stream.set_read_timeout(Some(patience)).unwrap();
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(n) => {
                self.received.push_str(std::str::from_utf8(&buffer[..n]).unwrap());
                true
            }
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => false,
            Err(error) => panic!("{error}; got {:?}", self.received),
        }
    }
}
