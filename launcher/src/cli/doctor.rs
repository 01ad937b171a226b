//! `launcher doctor`: checks this machine, and suggests what to fix.

use kit::{Exit, Failure};

use super::ask;
use super::options::{Where, Without, small_runtime};
use super::output::{self, Colour, paint, sanitise};
use crate::doctor::{self, Finding, Verdict};

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    without: Without,
}

/// Runs all checks, and prints a line for each.
pub(super) fn doctor(place: &Where, args: &Args) -> Result<Exit, Failure> {
    let loaded = place.load(&args.without)?;
    kit::context::install_tls();
    let running = ask::ask(place).ok();
    let findings = small_runtime()?.block_on(doctor::examine(&loaded, running.as_ref()));
    if args.json {
        output::json(&findings);
    } else {
        findings
            .iter()
            .flat_map(|finding| lines(finding, output::is_coloured()))
            .for_each(|line| output::line(&line));
    }
    Ok(doctor::exit(&findings))
}

fn lines(finding: &Finding, coloured: bool) -> Vec<String> {
    let (word, colour) = match finding.verdict {
        Verdict::Ok => ("ok  ", Colour::Green),
        Verdict::Warn => ("warn", Colour::Yellow),
        Verdict::Fail => ("fail", Colour::Red),
    };
    let mut found = finding.found.lines();
    let first = found.next().unwrap_or_default();
    let mut lines =
        vec![format!("{}  {:<12} {}", paint(word, colour, coloured), finding.check, sanitise(first))];
    lines.extend(found.map(|line| format!("{:19}{}", "", sanitise(line))));
    if !finding.advice.is_empty() {
        lines.push(format!("{:19}→ {}", "", finding.advice));
    }
    lines
}
