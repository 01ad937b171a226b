//! Plans for tests.

use std::path::PathBuf;
use std::time::Duration;

use crate::limits::Limits;
use crate::spec::{ComponentKind, ComponentSpec, Dependents, EndsAll, Launch, Readiness, RestartPolicy};
use crate::stop::StopSpec;

/// A component that is never actually started.
pub(crate) fn component(name: &str, needs: &[&str]) -> ComponentSpec {
    ComponentSpec {
        name: name.to_owned(),
        kind: ComponentKind::Service,
        pid_file: None,
        launch: Launch::Command {
            program: PathBuf::from("/bin/true"),
            args: Vec::new(),
            env: Vec::new(),
            env_remove: Vec::new(),
            cwd: None,
        },
        is_of_other_user: false,
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
        stop: StopSpec::default(),
        autostart: true,
        schedule: None,
        watch: Vec::new(),
        limits: Limits::default(),
        ends_all: EndsAll::Never,
        config_digest: "1".to_owned(),
    }
}

/// The number of cases of a property test: few, or with `P2P_LONG` many.
pub(crate) fn cases(short: u32, long: u32) -> u32 {
    if std::env::var_os("P2P_LONG").is_some() { long } else { short }
}
