//! A legacy peer on a host: a small Python program that shares no code with ours.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::network::Host;
use crate::support::{PATIENCE, kill};

const PROGRAM: &str = include_str!("old_peer.py");

/// A running legacy peer; killed when dropped.
pub struct OldPeer {
    child: Child,
    said: Receiver<Value>,
}

impl OldPeer {
    /// Starts one, and waits until it listens.
    pub fn start(host: &Host) -> Self {
        let mut command = Command::new("python3");
        command.args(["-c", PROGRAM]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = host.within(|| command.spawn().unwrap());
        let (sender, said) = channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).unwrap());
            }
        });
        let peer = Self { child, said };
        peer.wait_for("ready");
        peer
    }

    /// The next event of this kind; earlier ones are skipped.
    pub fn wait_for(&self, what: &str) -> Value {
        loop {
            let said = self.said.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("it never said {what}"));
            if let Some(value) = said.get(what) {
                return value.clone();
            }
        }
    }

    /// Suspends it, or lets it continue: its system accepts connections meanwhile.
    pub fn stop(&self, is_stopped: bool) {
        kill(self.child.id(), if is_stopped { "-STOP" } else { "-CONT" });
    }

    /// Whether it reports an event of this kind within the time, such as a received message.
    pub fn says(&self, what: &str, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        while let Ok(said) = self.said.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            if said.get(what).is_some() {
                return true;
            }
        }
        false
    }

    /// Sends a text in the legacy way.
    pub fn send_to(&mut self, ip: &str, text: &str) {
        let order = json!({"ip": ip, "msg": text});
        writeln!(self.child.stdin.as_mut().unwrap(), "{order}").unwrap();
        assert_eq!(self.wait_for("sent"), text);
    }
}

impl Drop for OldPeer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
