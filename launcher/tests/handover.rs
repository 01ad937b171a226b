//! A restart refuses no connection: the launcher keeps the listening sockets while their component restarts.
//!
//! `P2P_LONG=1` makes 1,000 attempts per second for ten seconds through ten restarts of each server.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use support::dice::rounds;
use support::{Home, Launcher, wait_for};

/// One attempt per millisecond.
const PACE: Duration = Duration::from_millis(1);
/// The minimum number of attempts in a round.
const ATTEMPTS: usize = 150;

/// Connects to a server repeatedly, and counts.
struct Visitors {
    stop: Arc<AtomicBool>,
    made: Arc<AtomicUsize>,
    since: Instant,
    thread: JoinHandle<Vec<String>>,
}

impl Visitors {
    fn to(address: SocketAddr) -> Self {
        let (stop, made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&made));
        let visit = move || {
            let mut refused = Vec::new();
            let mut due = Instant::now();
            while !stopped.load(Ordering::Relaxed) {
                if let Err(error) = TcpStream::connect_timeout(&address, Duration::from_secs(10)) {
                    refused.push(error.to_string());
                }
                count.fetch_add(1, Ordering::Relaxed);
                due += PACE;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            refused
        };
        Self { stop, made, since: Instant::now(), thread: std::thread::spawn(visit) }
    }

    fn wait_for_more(&self) {
        let before = self.made.load(Ordering::Relaxed);
        wait_for("visitors", || (self.made.load(Ordering::Relaxed) > before + ATTEMPTS / 3).then_some(()));
    }

    /// The number of attempts, and their rate; none may have been refused.
    fn leave(self) -> (usize, f64) {
        let seconds = self.since.elapsed().as_secs_f64();
        self.stop.store(true, Ordering::Relaxed);
        let refused = self.thread.join().unwrap();
        assert!(refused.is_empty(), "{} refused: {:?}", refused.len(), refused.first());
        let made = self.made.load(Ordering::Relaxed);
        (made, made as f64 / seconds)
    }
}

fn servers(launcher: &Launcher) -> [(&'static str, SocketAddr); 3] {
    let home = &launcher.home;
    [("message-api", home.api), ("chat-server", home.chat), ("web-adapter", home.page)]
}

#[test]
fn neither_a_crash_nor_a_restart_refuses_a_connection() {
    let mut launcher = Home::new().set("thermometer.enabled=false").up();
    for (name, address) in servers(&launcher) {
        let visitors = Visitors::to(address);
        let rounds = rounds(1, 10);
        for round in 0..rounds {
            visitors.wait_for_more();
            launcher.kill_component(name);
            if round == 0 {
                // Crashes use up the restart budget; a requested restart resets it.
                visitors.wait_for_more();
            }
            let restarted = launcher.home.run(&["restart", name]);
            assert!(restarted.status.success(), "{restarted:?}");
        }
        visitors.wait_for_more();
        let (made, rate) = visitors.leave();
        println!("{name}: {made} attempts, {rate:.0} a second, none refused, {} ends", 2 * rounds);
        assert!(made >= ATTEMPTS, "only {made} attempts");
    }
}

#[test]
fn who_came_while_a_server_was_away_is_served() {
    let mut launcher = Home::new().set("thermometer.enabled=false").up();
    let before = launcher.component_pid("chat-server").unwrap();
    support::kill(before, "-STOP");
    let stream = TcpStream::connect(launcher.home.chat).unwrap();
    launcher.kill_component("chat-server");
    // Whichever process accepted it, the new one answers: the old one could not.
    let mut greeting = [0; 5];
    stream.set_read_timeout(Some(support::PATIENCE)).unwrap();
    std::io::Read::read_exact(&mut &stream, &mut greeting).unwrap();
    assert_eq!(&greeting, b"Enter");
}

#[test]
fn a_stopped_server_refuses_and_a_started_one_serves() {
    let launcher = Home::new().set("thermometer.enabled=false").up();
    let home = &launcher.home;
    assert!(home.run(&["stop", "web-adapter"]).status.success());
    TcpStream::connect(home.page).unwrap_err();
    assert!(home.run(&["start", "web-adapter"]).status.success());
    TcpStream::connect(home.page).unwrap();
}

#[test]
fn a_component_run_by_itself_opens_its_own_socket() {
    let home = Home::new();
    let mut child = home.command(&["run", "message-api"]).spawn().unwrap();
    wait_for("the message API", || TcpStream::connect(home.api).ok());
    support::kill(child.id(), "-TERM");
    child.wait().unwrap();
    TcpStream::connect(home.api).unwrap_err();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(said.all(|line| !line.unwrap().contains("ERROR")));
}
