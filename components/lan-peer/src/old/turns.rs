//! One message at a time to each address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

/// Who is being sent to. Each address has one turn at a time; a turn that nobody waits for is forgotten.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<IpAddr, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    pub(super) fn of(&self, ip: IpAddr) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.lock().expect("nobody panics while holding this lock");
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(ip).or_default())
    }
}
