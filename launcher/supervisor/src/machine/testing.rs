//! Plans for tests.

use std::path::PathBuf;
use std::time::Duration;

use crate::spec::{ComponentSpec, Launch, Readiness};

/// A component that is never actually started.
pub(crate) fn component(name: &str, needs: &[&str]) -> ComponentSpec {
    let launch = Launch::Command {
        program: PathBuf::from("/bin/true"),
        args: Vec::new(),
        env: Vec::new(),
        env_remove: Vec::new(),
        cwd: None,
    };
    ComponentSpec {
        readiness: Readiness::Notify,
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        ready_timeout: Duration::from_secs(10),
        config_digest: "1".to_owned(),
        ..ComponentSpec::new(name, launch)
    }
}

/// The number of cases of a property test: few, or with `P2P_LONG` many.
pub(crate) fn cases(short: u32, long: u32) -> u32 {
    if std::env::var_os("P2P_LONG").is_some() { long } else { short }
}
