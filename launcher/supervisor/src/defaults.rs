//! Plans with the defaults of everything but what must be said.

use std::path::Path;

use uuid::Uuid;

use super::spec::{ComponentSpec, Launch, LauncherSpec, LogPolicy, Plan};

impl Plan {
    /// These components, with their state in `data` and their logs in `data/logs`.
    #[must_use]
    pub fn new(data: &Path, components: Vec<ComponentSpec>) -> Self {
        Self {
            run_id: Uuid::new_v4(),
            components,
            dependencies: Vec::new(),
            data: data.to_owned(),
            logs: data.join("logs"),
            log_policy: LogPolicy::default(),
            secrets: Vec::new(),
            settings: [].into(),
            consent: Vec::new(),
            launcher: LauncherSpec::default(),
            groups: [].into(),
            guard: None,
        }
    }
}

impl Launch {
    /// A program with arguments, in our environment and directory.
    #[must_use]
    pub fn command(program: &str, args: &[&str]) -> Self {
        Self::Command {
            program: program.into(),
            args: args.iter().map(Into::into).collect(),
            env: Vec::new(),
            env_remove: Vec::new(),
            cwd: None,
        }
    }
}
