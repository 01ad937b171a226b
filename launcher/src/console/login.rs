//! Links that open the page once, and how often somebody may be wrong.
//!
//! A link holds a time and a random number, signed with the token (HMAC-SHA-256). Whoever has the token can make one without asking the
//! launcher, and the token itself is in no address, history or terminal.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use kit::Secret;
use kit::allowances::Allowances;
use kit::places::network_of;
use ring::hmac;
use tokio::time::Instant;

use crate::token_file::TokenFile;

/// How long a link opens the page.
pub(crate) const VALID: Duration = Duration::from_secs(300);
/// Wrong tokens in a row from one address; after these one more each [`PAUSE`] seconds.
const BURST: u32 = 10;
const PAUSE: u32 = 6;
/// Addresses that are remembered. Overflow rule: the one that was wrong least recently is forgotten.
const ADDRESSES: usize = 1024;
/// Links that were used and would still be valid. Overflow rule: further links are refused until the oldest has expired.
const USED: usize = 256;

/// The token's file in a data directory. It is made when it is first needed, and stays: programs may keep it.
pub(crate) fn token_file(data: &Path) -> TokenFile {
    TokenFile::new(data, "console.token")
}

/// Why a link does not open the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadLink {
    #[error("this is no login link of this launcher; make one with 'launcher console'")]
    Wrong,
    #[error("this login link has expired; make a new one with 'launcher console'")]
    Expired,
    #[error("this login link was used already; make a new one with 'launcher console'")]
    Used,
    #[error("too many logins; try again in five minutes")]
    Full,
}

/// What a link says, for somebody who has the token.
///
/// # Errors
/// When the system has no randomness.
pub(crate) fn code(token: &Secret, now: SystemTime) -> std::io::Result<String> {
    let random = Secret::random()?;
    let said = format!("{}-{}", unix(now) + VALID.as_secs(), &random.expose()[..32]);
    Ok(format!("{said}-{}", sign(token, &said).expose()))
}

fn sign(token: &Secret, said: &str) -> Secret {
    let key = hmac::Key::new(hmac::HMAC_SHA256, token.expose().as_bytes());
    let tag = hmac::sign(&key, format!("console login {said}").as_bytes());
    Secret::new(tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn unix(now: SystemTime) -> u64 {
    now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The logins of late.
pub(crate) struct Logins {
    failures: Allowances<IpAddr>,
    /// Links that were used, with the time of their expiry.
    used: VecDeque<(u64, String)>,
}

impl Default for Logins {
    fn default() -> Self {
        Self { failures: Allowances::new(1, BURST * PAUSE, ADDRESSES), used: VecDeque::new() }
    }
}

impl Logins {
    /// Takes a link, once.
    pub(crate) fn open(&mut self, token: &Secret, code: &str, now: SystemTime) -> Result<(), BadLink> {
        let (said, signature) = code.rsplit_once('-').ok_or(BadLink::Wrong)?;
        if !sign(token, said).matches(signature) {
            return Err(BadLink::Wrong);
        }
        let now = unix(now);
        let expiry = said.split('-').next().and_then(|expiry| expiry.parse::<u64>().ok());
        let expiry = expiry.filter(|expiry| *expiry > now).ok_or(BadLink::Expired)?;
        self.used.retain(|(expiry, _)| *expiry > now);
        if self.used.iter().any(|(_, used)| used == said) {
            return Err(BadLink::Used);
        }
        if self.used.len() >= USED {
            return Err(BadLink::Full);
        }
        self.used.push_back((expiry, said.to_owned()));
        Ok(())
    }

    /// Counts a wrong token from an address; where there were too many, in how many seconds the next one is looked at.
    pub(crate) fn failed(&mut self, client: IpAddr) -> Result<(), u64> {
        let now = Instant::now();
        let taken = self.failures.take_cost(network_of(client), now, f64::from(PAUSE));
        taken.map_err(|at| at.saturating_duration_since(now).as_secs() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_opens_once_in_its_time_for_its_token() {
        let (token, now) = (Secret::random().unwrap(), SystemTime::now());
        let link = code(&token, now).unwrap();
        let mut logins = Logins::default();
        assert_eq!(logins.open(&Secret::random().unwrap(), &link, now), Err(BadLink::Wrong));
        assert_eq!(logins.open(&token, &link, now + VALID), Err(BadLink::Expired));
        assert_eq!(logins.open(&token, &link, now), Ok(()));
        assert_eq!(logins.open(&token, &link, now), Err(BadLink::Used));
        let longer = link.replacen(char::is_numeric, "9", 1);
        for wrong in ["", "-", "x", "1-2", longer.as_str()] {
            assert_eq!(logins.open(&token, wrong, now), Err(BadLink::Wrong), "{wrong}");
        }
        for _ in 1..USED {
            assert_eq!(logins.open(&token, &code(&token, now).unwrap(), now), Ok(()));
        }
        let one_more = code(&token, now + VALID).unwrap();
        assert_eq!(logins.open(&token, &one_more, now), Err(BadLink::Full));
        assert_eq!(logins.open(&token, &one_more, now + VALID), Ok(()), "those used have expired");
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_is_wrong_too_often_waits_and_others_do_not() {
        let mut logins = Logins::default();
        let (one, other) = ("192.0.2.1".parse().unwrap(), "127.0.0.1".parse().unwrap());
        assert!((0..BURST).all(|_| logins.failed(one).is_ok()));
        let seconds = logins.failed(one).unwrap_err();
        assert!((6..=7).contains(&seconds), "{seconds}");
        assert!((0..BURST).all(|_| logins.failed(other).is_ok()));
        assert!(logins.failed(other).is_err(), "this machine is no exception");
        tokio::time::advance(Duration::from_secs(7)).await;
        assert!(logins.failed(one).is_ok());
    }
}
