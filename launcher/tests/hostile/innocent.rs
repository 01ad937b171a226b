//! Two people who have nothing to do with the attack: they log in, talk, and leave, again and again.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::attack::Attack;
use crate::support::line_client::LineClient;

/// What became of them.
#[derive(Debug, Default)]
pub struct Account {
    /// How often one logged in and was heard by the other.
    pub rounds: u32,
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
        speaker.send(&format!("innocent-listener: round {}\n", account.rounds));
        listener.until(&format!("round {}", account.rounds));
        speaker.send("exit\n");
        speaker.rest();
        account.rounds += 1;
        account.worst = began.elapsed().max(account.worst);
        std::thread::sleep(Duration::from_millis(20));
    }
    account
}
