//! The operator, who is not part of the attack: asks the console and the launcher itself how everything is, repeatedly.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::attack::Attack;
use crate::support::{Launcher, http, wait_for};

/// The console of a launcher, and its token.
pub struct Console {
    pub address: SocketAddr,
    pub token: String,
}

/// The operator's results.
#[derive(Debug, Default)]
pub struct Account {
    /// How often both answered.
    pub rounds: u32,
    /// The longest time that one of them took.
    pub worst: Duration,
}

impl Console {
    pub fn of(launcher: &Launcher, address: SocketAddr) -> Self {
        let output = launcher.home.run(&["console", "--token"]);
        Self { address, token: String::from_utf8(output.stdout).unwrap().trim().to_owned() }
    }

    /// The head of a request of somebody with this token, without its last line.
    pub fn head(&self, method: &str, path: &str, token: &str) -> String {
        format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n", self.address)
    }

    /// The state of everything; fails if the server closes this connection for another one.
    fn status(&self) -> Option<Value> {
        let bearer = format!("Bearer {}", self.token);
        let headers = [("Authorization", bearer.as_str())];
        let answer = http::try_request(self.address, "GET", "/api/v1/status", &headers, "").ok()?;
        assert_eq!(answer.status, 200, "the operator was refused: {}", answer.body);
        serde_json::from_str(&answer.body).ok()
    }
}

/// Asks until the attack is over. One who is refused, or whose chat is not well, fails the test.
pub fn work(launcher: &Launcher, console: &Console, attack: &Attack) -> Account {
    let mut account = Account::default();
    while attack.goes_on() {
        let asked = Instant::now();
        let status = wait_for("the console's answer", || console.status());
        assert_eq!(status["healthy"], true, "{status:#}");
        account.worst = asked.elapsed().max(account.worst);
        let asked = Instant::now();
        assert!(launcher.snapshot().is_healthy());
        account.worst = asked.elapsed().max(account.worst);
        account.rounds += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
    account
}
