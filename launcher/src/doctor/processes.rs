//! How the processes of the components are known and ended.

use std::path::Path;

use super::Finding;
use crate::supervisor::{control_group, control_group_place};

/// By control groups, or by what else tells whose they are.
pub(super) fn kept_by(data: &Path, is_running: bool) -> Finding {
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
