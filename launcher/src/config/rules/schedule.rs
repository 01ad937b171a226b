//! What can be wrong with a schedule.

use crate::config::components::ComponentConfig;
use crate::config::settings::Settings;
use crate::supervisor::{ComponentKind, Schedule, ScheduleError};

/// Each with its key, without the component.
pub(super) fn check(
    settings: &Settings,
    component: &ComponentConfig,
    complain: &mut impl FnMut(&str, String),
) {
    for need in component.needs.iter().flat_map(|need| settings.members(need)) {
        if settings.components.get(need).is_some_and(|needed| needed.schedule.is_some()) {
            complain("needs", format!("{need} runs by a schedule, so nothing can wait for it"));
        }
    }
    let Some(expression) = &component.schedule else {
        if component.time_zone.is_some() {
            complain("time-zone", "is for a schedule, and there is none".to_owned());
        }
        return;
    };
    if component.kind != ComponentKind::Oneshot {
        complain(
            "schedule",
            "is for what does something and is done; also write type = \"oneshot\"".to_owned(),
        );
    }
    match Schedule::parse(expression, component.time_zone.as_deref()) {
        Ok(_) => {}
        Err(error @ ScheduleError::Zone(_)) => complain("time-zone", error.to_string()),
        Err(error @ (ScheduleError::Fields(_) | ScheduleError::Never(_))) => {
            complain("schedule", error.to_string())
        }
    }
}
