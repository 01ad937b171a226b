//! `launcher check`: validates the configuration, and shows what would start.

use kit::{Exit, Failure};

use super::ask;
use super::options::{Where, Without, small_runtime};
use super::output;
use super::planner::process;
use super::table::{Cell, Table};
use crate::catalog;
use crate::config::Loaded;
use crate::preflight::{certificate, directories, mongodb, ports, programs, store};
use crate::supervisor::Launch;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Also read the whole database file and report damage
    #[arg(long)]
    deep: bool,
    #[command(flatten)]
    without: Without,
}

/// Prints what would start, and every problem.
pub(super) fn check(place: &Where, without: &Without, args: &Args) -> Result<Exit, Failure> {
    let loaded = place.load(&without.or(&args.without))?;
    match &loaded.file {
        Some(file) => output::line(&format!("configuration  {}", file.display())),
        None => output::line("configuration  defaults (no file found)"),
    }
    output::line(&format!("data           {}", loaded.directories.data.display()));
    output::line(&format!("logs           {}\n", loaded.directories.logs.display()));
    for line in plan_table(&loaded)?.lines(output::is_coloured()) {
        output::line(&line);
    }
    let running = ask::ask(place).ok().map(|snapshot| snapshot.launcher_pid);
    let mut problems = problems(&loaded, running.is_some())?;
    if args.deep {
        problems.extend(store::damage(&loaded));
    }
    if running.is_some() {
        problems.extend(small_runtime()?.block_on(store::unready(&loaded)));
    }
    output::line("");
    if let Some(legacy) = small_runtime()?.block_on(store::legacy(&loaded)) {
        output::line(&legacy);
    }
    if let Some(pid) = running {
        output::line(&format!("a launcher is already running here (pid {pid}); skipped the port check"));
    }
    for (found, advice) in directories::exposed(&loaded.directories, &loaded.secret_files()) {
        output::error(&format!("warning: {found}: {advice}"));
    }
    match problems.first() {
        None => {
            output::line("no problems found");
            Ok(Exit::Fine)
        }
        Some((exit, _)) => {
            problems.iter().for_each(|(_, text)| output::error(text));
            Ok(*exit)
        }
    }
}

fn plan_table(loaded: &Loaded) -> Result<Table, Failure> {
    let plan = catalog::plan(loaded, &process(kit::Secret::new(String::new()))?, Vec::new());
    let mut table = Table::new(&["COMPONENT", "ADDRESS", ""]);
    for component in plan.components {
        let remark = match component.launch {
            Launch::Skip { reason } => format!("will not start: {reason}"),
            Launch::Command { .. } if component.needs.is_empty() => "starts".to_owned(),
            Launch::Command { .. } => format!("starts after {}", component.needs.join(", ")),
        };
        table.row(vec![
            Cell::plain(component.name),
            Cell::plain(component.address.unwrap_or_else(|| "-".to_owned())),
            Cell::plain(remark),
        ]);
    }
    Ok(table)
}

/// Everything that would prevent the start; the most serious exit code first.
fn problems(loaded: &Loaded, is_running: bool) -> Result<Vec<(Exit, String)>, Failure> {
    let mut problems = Vec::new();
    let url = &loaded.settings.store.url;
    if mongodb::is_mongodb(url)
        && let Err(error) = small_runtime()?.block_on(mongodb::test_connection(url))
    {
        let failure = error.into_failure();
        problems.push((failure.exit(), failure.to_string()));
    }
    if !is_running {
        let taken = ports::check(&catalog::used_listeners(loaded));
        problems.extend(taken.iter().map(|taken| (Exit::Failure, taken.to_string())));
    }
    problems.extend(certificate::check(loaded).map(|what| (Exit::Config, what)));
    problems.extend(programs::check(loaded).into_iter().map(|what| (Exit::Config, what)));
    let unusable = directories::prepare(&loaded.directories).err().unwrap_or_default();
    problems.extend(unusable.into_iter().map(|error| (Exit::Failure, Failure::from(error).to_string())));
    if let Err(error) = message_api::store::inspect(&loaded.settings.store, &loaded.directories.data) {
        let failure = error.into_failure();
        problems.push((failure.exit(), failure.to_string()));
    }
    Ok(problems)
}
