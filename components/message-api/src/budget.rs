//! Limits on what is stored: bytes per sender and day, and nothing once the disk is nearly full.
//!
//! The bytes are counted in memory, so a restart resets all senders. Free disk space is checked once a second and not for each message, so
//! slightly more than the reserve may be used.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use protocol::{Draft, UserName};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::health::Health;
use crate::store::StoreError;

const DAY: Duration = Duration::from_secs(86_400);
/// Senders that are counted. Overflow rule: all counts are reset, so that invented names do not take more memory.
const SENDERS: usize = 64 * 1024;
/// The size of a message besides its text: its row and its index entries.
const OVERHEAD: u64 = 256;
/// The interval of disk checks.
const DISK_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The bytes stored today.
#[derive(Debug)]
pub(crate) struct Budget {
    daily_bytes: u64,
    /// The keys of users without a limit.
    exempt: Vec<String>,
    reserve: u64,
    today: Mutex<Today>,
    /// The reason for rejecting messages if the disk is nearly full.
    full: Mutex<Option<String>>,
}

#[derive(Debug)]
struct Today {
    began: Instant,
    spent: HashMap<String, u64>,
}

impl Budget {
    pub(crate) fn new(config: &Config, services: &[UserName]) -> Self {
        Self {
            daily_bytes: config.sender_mib_per_day << 20,
            exempt: services.iter().map(|name| name.key().to_owned()).collect(),
            reserve: config.reserve_mib << 20,
            today: Mutex::new(Today { began: Instant::now(), spent: HashMap::new() }),
            full: Mutex::default(),
        }
    }

    /// Counts these drafts if all of them may be stored; otherwise counts none and returns why.
    pub(crate) fn spend(&self, drafts: &[Draft]) -> Result<(), StoreError> {
        if let Some(full) = &*self.full.lock().unwrap_or_else(PoisonError::into_inner) {
            return Err(StoreError::Full { detail: full.clone() });
        }
        if self.daily_bytes == 0 {
            return Ok(());
        }
        let mut today = self.today.lock().unwrap_or_else(PoisonError::into_inner);
        if today.began.elapsed() >= DAY || today.spent.len() >= SENDERS {
            *today = Today { began: Instant::now(), spent: HashMap::new() };
        }
        let mut wanted: HashMap<&str, u64> = HashMap::new();
        for draft in drafts {
            let key = draft.sender.key();
            if !self.exempt.iter().any(|exempt| exempt == key) {
                *wanted.entry(key).or_default() += cost(draft);
            }
        }
        for (sender, bytes) in &wanted {
            if today.spent.get(*sender).copied().unwrap_or(0) + bytes > self.daily_bytes {
                let mib = self.daily_bytes >> 20;
                let detail = format!(
                    "'{sender}' has sent {mib} MiB today, which is the limit (message-api.sender-mib-per-day)"
                );
                let left = DAY.saturating_sub(today.began.elapsed());
                return Err(StoreError::Limited { detail, again: left });
            }
        }
        for (sender, bytes) in wanted {
            *today.spent.entry(sender.to_owned()).or_default() += bytes;
        }
        Ok(())
    }

    /// Checks the disk of this directory until the shutdown.
    pub(crate) async fn watch(&self, directory: PathBuf, health: &Health, shutdown: CancellationToken) {
        let watching = async {
            loop {
                self.check_disk(&directory);
                health.disk(self.full());
                tokio::time::sleep(DISK_CHECK_INTERVAL).await;
            }
        };
        shutdown.run_until_cancelled(watching).await;
    }

    /// Checks whether the disk has more than the reserve left. A disk that cannot be checked does not count as full.
    pub(crate) fn check_disk(&self, directory: &std::path::Path) {
        let Ok(disk) = rustix::fs::statvfs(directory) else { return };
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let size = disk.f_blocks.saturating_mul(disk.f_frsize);
        // On a small disk the reserve would be most of it, so only a fiftieth is reserved.
        let reserve = self.reserve.min(size / 50);
        let now = (free < reserve).then(|| {
            format!(
                "the server's disk has {} MiB left, which are kept free; its operator must make room",
                free >> 20
            )
        });
        let mut full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*full, &now) {
            (None, Some(_)) => {
                let directory = directory.display();
                tracing::error!(%directory, free, reserve, "the disk is nearly full; rejecting messages");
            }
            (Some(_), None) => tracing::info!("the disk has free space again"),
            (None, None) | (Some(_), Some(_)) => {}
        }
        *full = now;
    }

    /// The reason for rejecting messages if the disk is nearly full.
    fn full(&self) -> Option<String> {
        self.full.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn cost(draft: &Draft) -> u64 {
    draft.content_bytes() as u64 + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn draft(sender: &str, bytes: usize) -> Draft {
        let body = protocol::Body::parse(&"x".repeat(bytes)).unwrap();
        Draft::chat(sample::name(sender), &sample::name("bob"), body)
    }

    #[tokio::test(start_paused = true)]
    async fn a_sender_has_a_limit_a_day_and_services_have_none() {
        let config = Config { sender_mib_per_day: 1, ..Config::default() };
        let budget = Budget::new(&config, &[sample::name("clock")]);
        for _ in 0..64 {
            budget.spend(&[draft("alice", 16_000 - 256)]).unwrap();
        }
        let large = [draft("ALICE", 16_000), draft("alice", 16_000)];
        let Err(StoreError::Limited { detail, again }) = budget.spend(&large) else {
            panic!("it is too much")
        };
        assert!(detail.contains("'alice' has sent 1 MiB today"), "{detail}");
        assert_eq!(again, DAY);
        budget.spend(&[draft("alice", 100)]).unwrap();
        for _ in 0..200 {
            budget.spend(&[draft("clock", 16_000), draft("carol", 1)]).unwrap();
        }
        tokio::time::advance(DAY).await;
        budget.spend(&large).unwrap();
    }

    #[test]
    fn a_disk_that_is_nearly_full_takes_no_messages() {
        let directory = tempfile::tempdir().unwrap();
        let everything = Config { reserve_mib: u64::MAX >> 20, ..Config::default() };
        let budget = Budget::new(&everything, &[]);
        budget.check_disk(directory.path());
        // A test cannot fill a disk to a fiftieth; most disks have more left.
        assert_eq!(budget.full().is_some(), budget.spend(&[draft("alice", 1)]).is_err());
        *budget.full.lock().unwrap() = Some("no room".to_owned());
        assert!(matches!(budget.spend(&[draft("alice", 1)]), Err(StoreError::Full { .. })));
        let none = Config { reserve_mib: 0, ..Config::default() };
        let budget = Budget::new(&none, &[]);
        budget.check_disk(directory.path());
        assert_eq!(budget.full(), None);
    }
}
