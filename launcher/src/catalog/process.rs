//! Properties of this process that its plans need.

use std::ffi::OsString;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use kit::Secret;
use uuid::Uuid;

/// What all plans of one run of the launcher have in common.
#[derive(Debug, Clone)]
pub struct Process {
    /// Identifies this run.
    pub run_id: Uuid,
    /// Our executable, with which the components are run.
    pub executable: PathBuf,
    /// The service token.
    pub token: Secret,
    /// The umask for other programs, if it differs from ours.
    pub umask: Option<u32>,
    /// The limit of open files for other programs, if it differs from ours.
    pub open_files: Option<u64>,
    /// Names of our environment's variables that are settings or secrets, which no child inherits unless it is given them.
    pub settings_variables: Vec<OsString>,
}

/// Distinguishes configurations of one run; not cryptographically secure.
pub(super) fn digest(config: &impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    config.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
