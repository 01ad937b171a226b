//! The recipients: each is a native session beside the server, which passes what it receives to the test of its sender.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::network::Host;
use crate::pattern::{Line, RECEIVERS};
use crate::support::PATIENCE;

/// A received message.
#[derive(Debug, Clone)]
pub struct Heard {
    pub to: &'static str,
    pub body: String,
    pub at: Instant,
}

impl Heard {
    /// Whether it is this line.
    pub fn is(&self, line: &Line) -> bool {
        self.to == line.to && self.body == line.body
    }
}

/// By sender. Bound: the messages of one test.
type Listeners = Arc<Mutex<HashMap<String, mpsc::UnboundedSender<Heard>>>>;

/// The recipients, online.
pub struct Hall {
    listeners: Listeners,
    streams: Vec<TcpStream>,
}

impl Hall {
    /// Logs all of them in, on the server's own host.
    pub fn open(host: &Host, chat: SocketAddr) -> Self {
        let listeners = Listeners::default();
        let streams = RECEIVERS.map(|name| receiver(host, chat, name, Arc::clone(&listeners)));
        Self { listeners, streams: streams.into() }
    }

    /// The messages of this sender.
    pub fn listen_to(&self, sender: &str) -> mpsc::UnboundedReceiver<Heard> {
        let (ours, theirs) = mpsc::unbounded_channel();
        self.listeners.lock().unwrap().insert(sender.to_owned(), ours);
        theirs
    }
}

impl Drop for Hall {
    fn drop(&mut self) {
        for stream in &self.streams {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn receiver(host: &Host, chat: SocketAddr, name: &'static str, listeners: Listeners) -> TcpStream {
    let mut stream = host.within(|| TcpStream::connect(chat).unwrap());
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let hello = json!({"type": "hello", "name": name, "presence": false, "conversations": false});
    stream.write_all(format!("{hello}\n").as_bytes()).unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let welcome = lines.by_ref().map_while(Result::ok).find(|line| line.contains(r#""welcome""#));
    assert!(welcome.is_some(), "{name} was not welcome");
    stream.set_read_timeout(None).unwrap();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let at = Instant::now();
            let frame: Value = serde_json::from_str(&line).unwrap();
            let event = &frame["event"];
            let (Some(sender), Some(body)) = (event["sender"].as_str(), event["body"].as_str()) else {
                continue;
            };
            if let Some(listener) = listeners.lock().unwrap().get(sender) {
                // The sender's test may have given up.
                let _ = listener.send(Heard { to: name, body: body.to_owned(), at });
            }
        }
    });
    stream
}
