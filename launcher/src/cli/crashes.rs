//! `launcher crashes`: the crash reports.

use kit::{Exit, Failure};

use super::component_name::ComponentName;
use super::options::Where;
use super::output::{self, sanitise};
use super::running;
use super::table::{Cell, Table};
use crate::recorder::crash::{self, Report};

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A report's id, or a component for its newest report; a group or a program with replicas lists its members' [default: list all]
    #[arg(value_parser = ComponentName, hide_possible_values = true)]
    id: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Lists the reports, or shows one.
pub(super) fn crashes(place: &Where, args: &Args) -> Result<Exit, Failure> {
    let logs = running::logs(place)?;
    let members = args.id.as_ref().and_then(|id| running::group(place, id));
    match (&args.id, members) {
        (Some(id), None) => {
            let report = crash::find(&logs, id)?.ok_or_else(|| unknown(id))?;
            if args.json { output::json(&report) } else { show(&report) }
        }
        (_, members) => {
            let mut reports = crash::all(&logs)?;
            if let Some(members) = members {
                reports.retain(|report| members.contains(&report.component));
            }
            if args.json { output::json(&reports) } else { list(&reports) }
        }
    }
    Ok(Exit::Fine)
}

fn unknown(id: &str) -> Failure {
    let what = format!("no crash report starts with '{id}'; list them with 'launcher crashes'");
    Failure::new(Exit::Failure, what)
}

fn list(reports: &[Report]) {
    if reports.is_empty() {
        return output::line("no crash reports");
    }
    let mut table = Table::new(&["REPORT", "REASON", "LAST LINE"]);
    for report in reports {
        let line = report.last_lines.iter().rev().find(|line| !line.trim().is_empty());
        let line = line.map(|line| sanitise(line).chars().take(100).collect()).unwrap_or_else(String::new);
        table.row([report.id.clone(), sanitise(&report.reason), line].map(Cell::plain).into());
    }
    table.lines(output::is_coloured()).iter().for_each(|line| output::line(line));
}

fn show(report: &Report) {
    output::line(&format!("{} {}", report.component, sanitise(&report.reason)));
    for (name, value) in facts(report) {
        output::line(&format!("  {name:<10} {}", sanitise(&value)));
    }
    for answer in &report.probes {
        let error = answer.error.as_deref().unwrap_or("passed");
        output::line(&format!("  probe      {} {} ({} ms)", answer.at, sanitise(error), answer.took_ms));
    }
    output::line("\nlast lines of its log:");
    report.last_lines.iter().for_each(|line| output::line(&format!("  {}", sanitise(line))));
}

fn facts(report: &Report) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("when", report.at.clone()),
        ("ended", report.out_of_memory.explain(report.exit)),
        ("lived", format!("{} ms", report.lived_ms)),
        ("then", report.next.to_string()),
        ("run", format!("{}, process {}", report.run, report.epoch)),
        ("config", report.config.clone()),
    ];
    if let Some(usage) = report.usage {
        let used = format!(
            "{} ms of processor time ({} ms in the kernel), {} KiB of memory at most",
            usage.user_ms + usage.system_ms,
            usage.system_ms,
            usage.max_rss_kib
        );
        facts.push(("used", used));
    }
    if report.same_in_a_row > 1 {
        facts.push(("again", format!("the same {} times in a row", report.same_in_a_row)));
    }
    let others: Vec<String> = report.others.iter().map(|(name, state)| format!("{name} {state}")).collect();
    if !others.is_empty() {
        facts.push(("others", others.join(", ")));
    }
    facts
}
