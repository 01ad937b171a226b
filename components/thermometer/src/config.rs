//! The configuration section `[thermometer]`, and the servers used.

use std::net::SocketAddr;
use std::time::Duration;

use kit::{Exit, Failure};
use protocol::UserName;
use serde::{Deserialize, Serialize};

use crate::subscribers::Bounds;

/// Shortest interval; more frequent updates carry no information and load the store.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// Most subscribers; each costs a stored message per interval.
const MOST_SUBSCRIBERS: usize = 10_000;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// This component's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Whether the launcher runs it.
    pub enabled: bool,
    /// Its user name.
    pub name: String,
    /// The interval of updates.
    #[serde(with = "kit::duration")]
    pub interval: Duration,
    /// Most subscribers. One who has never been online is displaced by later ones.
    pub max_subscribers: usize,
    /// A subscription ends when its user was not online at any update for this long, counted while the thermometer runs.
    #[serde(with = "kit::duration")]
    pub subscription_expiry: Duration,
    /// The same for a user who has never been online at an update.
    #[serde(with = "kit::duration")]
    pub never_online_expiry: Duration,
    /// Messages answered per user and hour; 0 disables the limit.
    pub messages_per_hour: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            name: "thermometer1".to_owned(),
            interval: Duration::from_secs(100),
            max_subscribers: 1000,
            subscription_expiry: 30 * DAY,
            never_online_expiry: DAY,
            messages_per_hour: 100,
        }
    }
}

/// A validated configuration.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    pub(crate) name: UserName,
    pub(crate) interval: Duration,
    pub(crate) bounds: Bounds,
    pub(crate) messages_per_hour: u32,
}

impl Config {
    /// Validates the values, so that the launcher reports errors before anything starts. The message starts with the key.
    ///
    /// # Errors
    /// For the first invalid value.
    pub fn validate(&self) -> Result<(), Failure> {
        self.check().map(drop)
    }

    pub(crate) fn check(&self) -> Result<Checked, Failure> {
        let name = UserName::parse(&self.name)
            .map_err(|error| Failure::new(Exit::Config, format!("thermometer.name: {error}")))?;
        if self.interval < SHORTEST_INTERVAL {
            let least = kit::duration::format(SHORTEST_INTERVAL);
            return Err(Failure::new(
                Exit::Config,
                format!("thermometer.interval: must be at least {least}"),
            ));
        }
        if !(1..=MOST_SUBSCRIBERS).contains(&self.max_subscribers) {
            let what = format!(
                "thermometer.max-subscribers: must be from 1 to {MOST_SUBSCRIBERS}, not {}",
                self.max_subscribers
            );
            return Err(Failure::new(Exit::Config, what));
        }
        let bounds = Bounds {
            subscribers: self.max_subscribers,
            offline: self.subscription_expiry,
            never_online: self.never_online_expiry,
        };
        let expiries =
            [("subscription-expiry", bounds.offline), ("never-online-expiry", bounds.never_online)];
        if let Some((key, _)) = expiries.iter().find(|(_, expiry)| expiry.is_zero()) {
            return Err(Failure::new(
                Exit::Config,
                format!("thermometer.{key}: must be longer than nothing"),
            ));
        }
        Ok(Checked { name, interval: self.interval, bounds, messages_per_hour: self.messages_per_hour })
    }
}

/// The servers that it uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upstream {
    /// The chat server.
    pub chat: SocketAddr,
    /// The message API, which stores the subscriptions.
    pub api: SocketAddr,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_bad_values_are_named() {
        assert!(Config::default().check().is_ok());
        let bad = Config { name: "two words".to_owned(), ..Config::default() }.check().unwrap_err();
        assert_eq!(bad.exit(), Exit::Config);
        assert!(bad.to_string().starts_with("thermometer.name: a name cannot hold a space"), "{bad}");
        let bad = Config { interval: Duration::ZERO, ..Config::default() }.check().unwrap_err();
        assert!(bad.to_string().contains("thermometer.interval"), "{bad}");
        let bad = Config { max_subscribers: 0, ..Config::default() }.check().unwrap_err();
        assert!(bad.to_string().contains("max-subscribers: must be from 1 to 10000, not 0"), "{bad}");
        let bad = Config { never_online_expiry: Duration::ZERO, ..Config::default() }.check().unwrap_err();
        assert!(bad.to_string().contains("never-online-expiry: must be longer than nothing"), "{bad}");
    }
}
