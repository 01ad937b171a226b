//! Resource limits of components, and how they are enforced.
//!
//! * Open files are a resource limit of each process, `setrlimit(2)`, which the child sets before it executes its program.
//! * Memory and CPU time are limits of the component's control group, if groups can be created. They apply to all of its processes
//!   together, and the kernel counts its kills for lack of memory.
//! * Without control groups, memory is a limit of each process (`RLIMIT_DATA`), and CPU time is not limited.

use std::ffi::OsString;

use rustix::process::{Resource, Rlimit, setrlimit};

use super::cgroup::Group;
use super::status::{LimitStatus, LimitedBy};

/// The environment variable with the limits that a child must set for itself: `nofile=N,data=N`.
pub(super) const LIMITS: &str = "P2P_LIMITS";

/// What is limited.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Limits {
    /// Open files of each process.
    pub nofile: Option<u64>,
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// CPU time in processors.
    pub cpu: Option<f64>,
}

impl Limits {
    /// Whether any limit is set.
    #[must_use]
    pub fn any(&self) -> bool {
        *self != Self::default()
    }

    /// Sets the limits of the control group, and returns how each limit is enforced.
    pub(super) fn apply(&self, group: Result<&Group, &str>) -> Vec<LimitStatus> {
        let mut found = Vec::new();
        if let Some(files) = self.nofile {
            found.push(LimitStatus {
                what: "open files".to_owned(),
                limit: files.to_string(),
                by: LimitedBy::Process,
                remark: None,
            });
        }
        if let Some(bytes) = self.memory {
            let set = group.map_err(str::to_owned).and_then(|group| group.limit_memory(bytes));
            found.push(LimitStatus::of("memory", mebibytes(bytes), set, LimitedBy::Process));
        }
        if let Some(processors) = self.cpu {
            let set = group.map_err(str::to_owned).and_then(|group| group.limit_cpu(processors));
            found.push(LimitStatus::of("cpu", processors.to_string(), set, LimitedBy::Nothing));
        }
        found
    }

    /// What the child must set for itself, if anything: all listed limits are enforced per process.
    pub(super) fn for_child(&self, in_force: &[LimitStatus]) -> Option<OsString> {
        let is_own =
            |what: &str| in_force.iter().any(|limit| limit.what == what && limit.by == LimitedBy::Process);
        let files = self.nofile.filter(|_| is_own("open files")).map(|files| format!("nofile={files}"));
        let data = self.memory.filter(|_| is_own("memory")).map(|bytes| format!("data={bytes}"));
        let all: Vec<String> = files.into_iter().chain(data).collect();
        (!all.is_empty()).then(|| all.join(",").into())
    }
}

/// Sets the limits that the supervisor has requested of this process, and removes the request from the environment of `command`.
///
/// # Errors
/// Which limit cannot be set.
pub fn limit(command: &mut std::process::Command) -> Result<(), String> {
    command.env_remove(LIMITS);
    let Ok(limits) = std::env::var(LIMITS) else { return Ok(()) };
    for (name, value) in limits.split(',').filter_map(|limit| limit.split_once('=')) {
        let (Ok(value), Some((resource, key))) = (value.parse::<u64>(), resource(name)) else { continue };
        let limit = Rlimit { current: Some(value), maximum: Some(value) };
        setrlimit(resource, limit).map_err(|error| {
            format!("cannot set limits.{key} to {value}: {error}; without root it can only be lowered")
        })?;
    }
    Ok(())
}

fn resource(name: &str) -> Option<(Resource, &'static str)> {
    match name {
        "nofile" => Some((Resource::Nofile, "nofile")),
        "data" => Some((Resource::Data, "memory")),
        _ => None,
    }
}

fn mebibytes(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    if bytes.is_multiple_of(MIB) { format!("{} MiB", bytes / MIB) } else { format!("{bytes} bytes") }
}

impl LimitStatus {
    fn of(what: &str, limit: String, set: Result<(), String>, otherwise: LimitedBy) -> Self {
        let (by, remark) = match set {
            Ok(()) => (LimitedBy::ControlGroup, None),
            Err(reason) => (otherwise, Some(reason)),
        };
        Self { what: what.to_owned(), limit, by, remark }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_control_group_memory_is_limited_for_each_process_and_time_is_not() {
        let limits = Limits { nofile: Some(100), memory: Some(64 << 20), cpu: Some(0.5) };
        let in_force = limits.apply(Err("no cgroup v2"));
        let shown: Vec<String> = in_force.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "open files 100 for each process",
                "memory 64 MiB for each process (no control group: no cgroup v2)",
                "cpu 0.5 not in force (no control group: no cgroup v2)"
            ]
        );
        assert_eq!(limits.for_child(&in_force).unwrap(), "nofile=100,data=67108864");
        assert_eq!(Limits::default().for_child(&[]), None);
    }
}
