//! Serialises messages to each address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

/// One lock per address that is being sent to; an unused lock is dropped.
#[derive(Debug, Default)]
pub(crate) struct SendLocks(Mutex<HashMap<IpAddr, Arc<tokio::sync::Mutex<()>>>>);

impl SendLocks {
    pub(super) fn of(&self, ip: IpAddr) -> Arc<tokio::sync::Mutex<()>> {
        let mut send_locks = self.0.lock().expect("nobody panics while holding this lock");
        send_locks.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(send_locks.entry(ip).or_default())
    }
}
