//! What one run of the launcher is, for its plans.

use std::ffi::OsString;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use kit::Secret;
use uuid::Uuid;

/// What all plans of one run of the launcher have in common.
#[derive(Debug, Clone)]
pub struct Process {
    /// This run.
    pub run_id: Uuid,
    /// Our executable, which the components are run with.
    pub executable: PathBuf,
    /// Opens the message API's own endpoints.
    pub token: Secret,
    /// The umask of the operator's own programs, where it is not ours.
    pub umask: Option<u32>,
    /// How many files they may have open, where it is not as many as we may.
    pub open_files: Option<u64>,
    /// The names of our environment's variables that are settings or secrets, which no child gets unless it is given them.
    pub settings_variables: Vec<OsString>,
}

/// Tells two configurations of one run apart; not meant to withstand anybody.
pub(super) fn digest(config: &impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    config.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
