//! Two users who are not part of the attack: they log in, chat, and leave, repeatedly.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::attack::Attack;
use crate::support::PATIENCE;
use crate::support::line_client::LineClient;

/// Their results.
#[derive(Debug, Default)]
pub struct Account {
    /// How often one logged in and was received by the other.
    pub rounds: u32,
    /// How often a message was not stored in time and had to be sent again, as its sender was told.
    pub again: u32,
    /// The longest round.
    pub worst: Duration,
}

/// Chats until the attack is over. A login or a message that does not arrive in time fails the test.
pub fn talk(chat: SocketAddr, attack: &Attack) -> Account {
    let mut account = Account::default();
    let (mut listener, _) = LineClient::login(chat, "innocent-listener");
    while attack.goes_on() {
        let began = Instant::now();
        let (mut speaker, _) = LineClient::login(chat, "innocent-speaker");
        account.again += deliver(&mut speaker, &mut listener, &format!("round {}", account.rounds));
        speaker.send("exit\n");
        speaker.rest();
        account.rounds += 1;
        account.worst = began.elapsed().max(account.worst);
        std::thread::sleep(Duration::from_millis(20));
    }
    account
}

/// Sends until the other one has it; returns the number of repetitions.
fn deliver(speaker: &mut LineClient, listener: &mut LineClient, text: &str) -> u32 {
    let (line, deadline) = (format!("innocent-listener: {text}\n"), Instant::now() + PATIENCE);
    let mut again = 0;
    speaker.send(&line);
    while listener.line_soon().is_none_or(|heard| !heard.contains(text)) {
        assert!(Instant::now() < deadline, "{text:?} did not arrive");
        if speaker.line_soon().is_some_and(|told| told.starts_with("Message not confirmed")) {
            speaker.send(&line);
            again += 1;
        }
    }
    again
}
