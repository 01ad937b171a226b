//! `launcher why`: all there is to know of one component, and the end of its log.

use kit::{Exit, Failure};

use super::control::find;
use super::options::Where;
use super::{output, tail};
use crate::supervisor::status::ComponentStatus;

/// As many lines as fit on a screen beside the rest.
const LINES: usize = 12;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The component's name
    component: String,
}

/// Prints what is known.
pub(super) fn why(place: &Where, args: &Args) -> Result<Exit, Failure> {
    let component = find(place, &args.component)?;
    for line in facts(&component) {
        output::line(&line);
    }
    let log = place.directories()?.logs.join(format!("{}.log", component.name));
    output::line(&format!("\nthe end of {}:", log.display()));
    for line in tail::last_lines(&log, LINES)? {
        output::line(&format!("  {}", output::tame(&String::from_utf8_lossy(&line))));
    }
    Ok(Exit::Fine)
}

fn facts(component: &ComponentStatus) -> Vec<String> {
    let mut facts = vec![format!("{} is {}", component.name, component.state)];
    let mut add = |name: &str, text: Option<String>| {
        facts.extend(text.map(|text| format!("  {name:<10} {}", output::tame(&text))));
    };
    add("because", component.reason.clone());
    add("it says", component.status_text.clone());
    add("last end", component.last_error.clone());
    add("restarts", (component.restarts > 0).then(|| component.restarts.to_string()));
    add("pid", component.pid.map(|pid| pid.to_string()));
    add("address", component.address.clone());
    add("ready in", component.ready_ms.map(|ms| format!("{ms} ms")));
    let lost = component.log.dropped_lines;
    add("log lost", (lost > 0).then(|| format!("{lost} lines, {} bytes", component.log.dropped_bytes)));
    facts
}
