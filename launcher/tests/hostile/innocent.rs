//! Two people who have nothing to do with the attack: they log in, talk, and leave, again and again.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::attack::Attack;
use crate::support::PATIENCE;
use crate::support::line_client::LineClient;

/// What became of them.
#[derive(Debug, Default)]
pub struct Account {
    /// How often one logged in and was heard by the other.
    pub rounds: u32,
    /// How often a message was not stored in time and had to be sent again, as its sender was told to.
    pub again: u32,
    /// The longest that a round took.
    pub worst: Duration,
}

/// Talks until the attack is over. A login or a message that does not arrive in time fails the test.
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

/// Says it until the other one has it; answers how often it was said again.
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
