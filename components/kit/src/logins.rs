//! Rate limit of logins per address: a number per minute sustained, and the same number as a burst.
//!
//! Addresses are identified as in [`crate::places`]: an IPv4 address is the same in either notation, and an IPv6 /64 counts as one address.
//! Loopback has a higher limit, which only a broken program reaches, because many users may be behind it.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::allowances::Allowances;
use crate::places::network_of;

/// Logins per minute from this machine, if there is a limit.
const LOOPBACK_PER_MINUTE: u32 = 100_000;
/// Most loopback addresses tracked; same overflow rule as below.
const LOOPBACKS: usize = 256;
/// Most addresses tracked. Overflow rule: the address that logged in least recently is dropped; the others keep their state.
const ADDRESSES: usize = 16 * 1024;
/// Tokens per login: allowances fill in tokens per second, so that a rate per minute stays an integer.
const LOGIN: u32 = 60;

/// The login allowances of all addresses.
#[derive(Debug)]
pub struct Logins(Mutex<Tables>);

#[derive(Debug)]
struct Tables {
    addresses: Allowances<IpAddr>,
    loopback: Allowances<IpAddr>,
}

impl Logins {
    /// Allows `per_minute` logins per minute from each address; 0 disables all limits.
    #[must_use]
    pub fn new(per_minute: u32) -> Self {
        let of = |most: u32, addresses| Allowances::new(most, most.saturating_mul(LOGIN), addresses);
        let loopback = if per_minute == 0 { 0 } else { LOOPBACK_PER_MINUTE };
        Self(Mutex::new(Tables { addresses: of(per_minute, ADDRESSES), loopback: of(loopback, LOOPBACKS) }))
    }

    /// Counts a login from this address.
    ///
    /// # Errors
    /// How long to wait before the next login, if there were too many.
    pub fn take(&self, ip: IpAddr) -> Result<(), Duration> {
        let (address, now) = (network_of(ip), Instant::now());
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Tables { addresses, loopback } = &mut *tables;
        let table = if address.is_loopback() { loopback } else { addresses };
        table.take_cost(address, now, f64::from(LOGIN)).map_err(|at| at.saturating_duration_since(now))
    }
}

/// The message for a client that logged in too often, with the time to wait.
#[must_use]
pub fn refusal(wait: Duration) -> String {
    let seconds = wait.as_millis().div_ceil(1000).max(1);
    let unit = if seconds == 1 { "second" } else { "seconds" };
    format!("Too many logins from your address; try again in {seconds} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_has_a_limit_and_others_are_not_affected() {
        let logins = Logins::new(30);
        assert!((0..30).all(|_| logins.take(ip("10.0.0.1")).is_ok()));
        let wait = logins.take(ip("::ffff:10.0.0.1")).unwrap_err();
        assert!((1900..2100).contains(&wait.as_millis()), "{wait:?}");
        assert_eq!(refusal(wait), "Too many logins from your address; try again in 3 seconds");
        logins.take(ip("10.0.0.2")).unwrap();
        tokio::time::advance(wait).await;
        logins.take(ip("10.0.0.1")).unwrap();
        logins.take(ip("10.0.0.1")).unwrap_err();
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_of_version_six_counts_as_one_and_this_machine_may_more() {
        let logins = Logins::new(1);
        logins.take(ip("2001:db8::1")).unwrap();
        logins.take(ip("2001:db8::ffff:2")).unwrap_err();
        logins.take(ip("2001:db8:0:1::1")).unwrap();
        assert!((0..20_000).all(|_| logins.take(ip("127.0.0.1")).is_ok()));
        assert!((0..20_000).all(|_| Logins::new(0).take(ip("10.0.0.1")).is_ok()));
    }

    #[tokio::test(start_paused = true)]
    async fn many_addresses_reset_nobodys_allowance() {
        let (logins, stubborn) = (Logins::new(2), ip("192.0.2.1"));
        assert!(logins.take(stubborn).is_ok() && logins.take(stubborn).is_ok());
        for n in 0..3 * u32::try_from(ADDRESSES).unwrap() {
            // Nobody has a full allowance left.
            let other = std::net::Ipv4Addr::from(0x0a00_0000 + n).into();
            assert!(logins.take(other).is_ok() && logins.take(other).is_ok());
            if n % 1000 == 0 {
                logins.take(stubborn).unwrap_err();
            }
        }
    }
}
