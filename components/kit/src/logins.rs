//! How often one address may log in: so many times a minute for long, and as many at once.
//!
//! Addresses are told apart as [`crate::places`] does it: an IPv4 address is the same one in either notation, and a whole IPv6 /64 counts
//! as one. This machine's programs have a limit of their own, which only a program that is stuck reaches: behind loopback are many.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::allowance::Allowance;
use crate::places::network_of;

/// Logins a minute from this machine, where there is a limit at all.
const LOOPBACK_PER_MINUTE: u32 = 100_000;
/// Addresses that are remembered. Overflow rule: those that have their whole allowance are forgotten; where none has, all of them are, for
/// to let somebody in too often is better than to let nobody in.
const ADDRESSES: usize = 16 * 1024;
/// An allowance is filled once a second; a login takes this much of it.
const LOGIN: u32 = 60;

/// The allowances of all addresses.
#[derive(Debug)]
pub struct Logins {
    per_minute: u32,
    of: Mutex<HashMap<IpAddr, Allowance>>,
}

impl Logins {
    /// So many a minute from each address; 0 is no limit for anybody.
    #[must_use]
    pub fn new(per_minute: u32) -> Self {
        Self { per_minute, of: Mutex::default() }
    }

    /// Counts a login from this address.
    ///
    /// # Errors
    /// When there were too many: how long to wait before the next one.
    pub fn take(&self, ip: IpAddr) -> Result<(), Duration> {
        if self.per_minute == 0 {
            return Ok(());
        }
        let (address, now) = (network_of(ip), Instant::now());
        let most = if address.is_loopback() { LOOPBACK_PER_MINUTE } else { self.per_minute };
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        if of.len() >= ADDRESSES && !of.contains_key(&address) {
            of.retain(|_, allowance| !allowance.is_full(now));
            if of.len() >= ADDRESSES {
                of.clear();
            }
        }
        let burst = most.saturating_mul(LOGIN);
        let allowance = of.entry(address).or_insert_with(|| Allowance::new(most, burst, now));
        allowance.take_cost(now, f64::from(LOGIN)).map_err(|at| at.saturating_duration_since(now))
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
    async fn the_table_is_bounded() {
        let logins = Logins::new(2);
        for n in 0..3 * u32::try_from(ADDRESSES).unwrap() {
            logins.take(std::net::Ipv4Addr::from(0x0a00_0000 + n).into()).unwrap();
        }
        assert!(logins.of.lock().unwrap().len() <= ADDRESSES);
    }
}
