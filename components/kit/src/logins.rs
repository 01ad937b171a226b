//! How often one address may log in: so many times a minute for long, and as many at once.
//!
//! Addresses are told apart as [`crate::places`] does it: an IPv4 address is the same one in either notation, and a whole IPv6 /64 counts
//! as one. This machine's programs have a limit of their own, which only a program that is stuck reaches: behind loopback are many.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::allowances::Allowances;
use crate::places::network_of;

/// Logins a minute from this machine, where there is a limit at all.
const LOOPBACK_PER_MINUTE: u32 = 100_000;
/// This machine's own addresses that are remembered, by the same rule as the others.
const LOOPBACKS: usize = 256;
/// Addresses that are remembered. Overflow rule: the one that logged in least recently is dropped; the others keep their allowances.
const ADDRESSES: usize = 16 * 1024;
/// An allowance is filled once a second; a login takes this much of it.
const LOGIN: u32 = 60;

/// The allowances of all addresses.
#[derive(Debug)]
pub struct Logins(Mutex<Tables>);

#[derive(Debug)]
struct Tables {
    addresses: Allowances<IpAddr>,
    loopback: Allowances<IpAddr>,
}

impl Logins {
    /// So many a minute from each address; 0 is no limit for anybody.
    #[must_use]
    pub fn new(per_minute: u32) -> Self {
        let of = |most: u32, addresses| Allowances::new(most, most.saturating_mul(LOGIN), addresses);
        let loopback = if per_minute == 0 { 0 } else { LOOPBACK_PER_MINUTE };
        Self(Mutex::new(Tables { addresses: of(per_minute, ADDRESSES), loopback: of(loopback, LOOPBACKS) }))
    }

    /// Counts a login from this address.
    ///
    /// # Errors
    /// When there were too many: how long to wait before the next one.
    pub fn take(&self, ip: IpAddr) -> Result<(), Duration> {
        let (address, now) = (network_of(ip), Instant::now());
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Tables { addresses, loopback } = &mut *tables;
        let table = if address.is_loopback() { loopback } else { addresses };
        table.take_cost(address, now, f64::from(LOGIN)).map_err(|at| at.saturating_duration_since(now))
    }
}

/// What is told to who logged in too often, after which time to come again.
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
    async fn an_address_logs_in_so_often_and_others_do_not_notice() {
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
            // Nobody has a whole allowance left.
            let other = std::net::Ipv4Addr::from(0x0a00_0000 + n).into();
            assert!(logins.take(other).is_ok() && logins.take(other).is_ok());
            if n % 1000 == 0 {
                logins.take(stubborn).unwrap_err();
            }
        }
    }
}
