//! Plans for tests.

use std::path::PathBuf;
use std::time::Duration;

use crate::supervisor::spec::{ComponentSpec, Dependents, Launch, Readiness, RestartPolicy};

/// A component that is never really started.
pub(crate) fn component(name: &str, needs: &[&str]) -> ComponentSpec {
    ComponentSpec {
        name: name.to_owned(),
        launch: Launch::Command {
            program: PathBuf::from("/bin/true"),
            args: Vec::new(),
            env: Vec::new(),
            env_remove: Vec::new(),
            cwd: None,
        },
        readiness: Readiness::Notify,
        listen: Vec::new(),
        address: None,
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        restart: RestartPolicy::default(),
        required: true,
        dependents: Dependents::Keep,
        watchdog: None,
        liveness: None,
        ready_timeout: Duration::from_secs(10),
        stop_grace: Duration::from_secs(5),
        config_digest: "1".to_owned(),
    }
}
