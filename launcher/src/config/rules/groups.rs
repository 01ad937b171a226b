//! What can be wrong with `launcher.groups`.

use crate::catalog::table;
use crate::config::assignment::component_name;
use crate::config::nearest::nearest;
use crate::config::settings::Settings;

/// Each with its key.
pub(super) fn check(settings: &Settings) -> Vec<(String, String)> {
    let mut known: Vec<&str> = table::names().collect();
    known.extend(settings.components.keys().map(String::as_str));
    let mut found = Vec::new();
    for (name, members) in &settings.launcher.groups {
        let mut complain = |what: String| found.push((format!("launcher.groups.{name}"), what));
        if component_name(name).is_err() {
            complain(
                "a group's name is 1 to 40 lowercase letters, digits and '-', and no reserved one".to_owned(),
            );
        }
        if known.contains(&name.as_str()) {
            complain("there is a component of this name; choose another name for the group".to_owned());
        }
        if members.is_empty() {
            complain("names no component; write [\"web\", \"worker\"]".to_owned());
        }
        for member in members.iter().filter(|member| !known.contains(&member.as_str())) {
            complain(match nearest(member, known.iter().copied()) {
                Some(near) => format!("there is no component '{member}'; did you mean '{near}'?"),
                None => format!("there is no component '{member}'"),
            });
        }
    }
    found
}
