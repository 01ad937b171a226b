//! Checks how the processes of components are tracked.

use std::path::Path;

use super::Finding;
use crate::config::Loaded;
use crate::supervisor::{control_group, control_group_controllers, control_group_place};

/// With control groups, or without.
pub(super) fn tracking(data: &Path, is_running: bool) -> Finding {
    const CHECK: &str = "processes";
    let place = if is_running {
        control_group(data).ok_or_else(|| "the running launcher may make none".to_owned())
    } else {
        control_group_place()
    };
    Finding::ok(
        CHECK,
        match place {
            Ok(path) => format!("each component has a control group, in {}", path.display()),
            Err(reason) => format!(
                "no control group ({reason}); known by their group, mark and parents, and orphans end with the launcher"
            ),
        },
    )
}

/// How memory and CPU limits of components are enforced.
pub(super) fn limited_by(loaded: &Loaded) -> Finding {
    const CHECK: &str = "limits";
    let controllers = control_group_controllers();
    let missing: Vec<&str> =
        ["memory", "cpu"].into_iter().filter(|name| !controllers.iter().any(|it| it == name)).collect();
    if missing.is_empty() && control_group_place().is_ok() {
        return Finding::ok(
            CHECK,
            "limits of memory and cpu are set on control groups; kills for lack of memory are counted",
        );
    }
    let why = if missing.is_empty() {
        "no control group".to_owned()
    } else {
        format!("no {} controller", missing.join(" and no "))
    };
    let found =
        format!("limits.memory is set for each process by itself, and limits.cpu is not in force ({why})");
    let mut limits = loaded.settings.components.values().map(|component| component.limits);
    if limits.any(|limits| limits.memory.is_some() || limits.cpu.is_some()) {
        let advice = "delegate a control group (cgroup v2) with these controllers, as with Delegate=yes in the systemd unit";
        Finding::warn(CHECK, found, advice)
    } else {
        Finding::ok(CHECK, found)
    }
}
