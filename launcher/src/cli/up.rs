//! `launcher up`: starts everything, keeps it running, and stops it.

use std::sync::Arc;

use kit::{Exit, Failure};
use tokio::sync::mpsc;

use super::code::Code;
use super::console::Console;
use super::foreground::{Foreground, Voice};
use super::options::{Switches, Where, With, small_runtime};
use super::own_services::OwnServices;
use super::planner::{Planner, process};
use super::{detach, files, launcher_log, output, token};
use crate::alerts::Alerts;
use crate::catalog;
use crate::config::exposure::exposed;
use crate::config::{self, Environment, Loaded, Mistakes};
use crate::preflight::{certificate, directories, mongodb, ports};
use crate::recorder::{self, Recorder};
use crate::supervisor::logs::launcher_log::Limits;
use crate::supervisor::{self, DataLock, Hooks, Outcome};

/// New plans in the queue; each is applied quickly.
const WAITING_PLANS: usize = 4;

/// Runs everything until it is stopped.
pub(super) fn up(mut place: Where, first: Switches, mut later: With<Switches>) -> Result<Code, Failure> {
    let mut switches = first.or(&later.args);
    // `-` is no directory.
    switches.foreground_logs |= place.take_standard_output();
    switches.foreground_logs |= later.place.take_standard_output();
    let (place, switches) = (&place.then(later.place), &switches);
    contradiction(switches).map_or(Ok(()), |what| Err(Failure::new(Exit::Usage, what)))?;
    let environment = Environment::of_this_process()?;
    let loaded =
        config::load(&place.request(&switches.without), &environment).map_err(Mistakes::into_failure)?;
    prepare_directories(&loaded)?;
    if switches.detach && !switches.background {
        return detach::detach(&loaded, &usage_hints(&loaded, true)).map(Code::Own);
    }
    if switches.background {
        detach::leave_session();
    }
    files::raise();
    // Held until the log is closed, which must have one writer.
    let lock = DataLock::take(&loaded.directories.data)?;
    let limits = Limits::new(catalog::log_policy(&loaded.settings.logs));
    let _log = launcher_log::begin(&loaded.directories.logs, limits.clone());
    let result = run(place, switches, environment, &loaded, &lock, limits);
    match &result {
        Ok((outcome, _)) => {
            tracing::info!(abandoned = ?outcome.abandoned, ended_by = ?outcome.ended_by, "stopped")
        }
        Err(failure) => tracing::error!("{failure}"),
    }
    let (outcome, is_read) = result?;
    end(&outcome, is_read)
}

/// Options that exclude each other.
fn contradiction(switches: &Switches) -> Option<&'static str> {
    match switches {
        Switches { detach: false, .. } => None,
        Switches { exit_code_from: Some(_), .. } => {
            Some("--exit-code-from cannot be used with --detach: nobody waits for the exit code")
        }
        Switches { foreground_logs: true, .. } => {
            Some("--foreground-logs cannot be used with --detach, which leaves standard output")
        }
        Switches { detach: true, .. } => None,
    }
}

/// Prints how it ended, if somebody reads it.
fn end(outcome: &Outcome, is_read: bool) -> Result<Code, Failure> {
    if !outcome.abandoned.is_empty() {
        let what = format!("still running after SIGKILL: {}", outcome.abandoned.join(", "));
        return Err(Failure::new(Exit::Failure, what));
    }
    match &outcome.ended_by {
        Some(by) => {
            output::error(&format!("everything was stopped because of {}: {}", by.component, by.why));
            Ok(Code::Program(by.code()))
        }
        None => {
            if is_read {
                output::line("stopped");
            }
            Ok(Code::Own(Exit::Fine))
        }
    }
}

fn prepare_directories(loaded: &Loaded) -> Result<(), Failure> {
    directories::prepare(&loaded.directories).map_err(|errors| {
        let texts: Vec<String> = errors.into_iter().map(|error| Failure::from(error).to_string()).collect();
        Failure::new(Exit::Failure, texts.join("\n"))
    })
}

/// Also returns whether standard output was read to its end. On the main thread: the parent-death signal of a child depends on the thread
/// that started it.
fn run(
    place: &Where,
    switches: &Switches,
    environment: Environment,
    loaded: &Loaded,
    lock: &DataLock,
    limits: Limits,
) -> Result<(Outcome, bool), Failure> {
    tracing::info!(version = env!("CARGO_PKG_VERSION"), data = %loaded.directories.data.display(), "starting");
    small_runtime()?.block_on(async {
        let claim = lock.claim().await?;
        preflight(loaded).await?;
        for (found, advice) in directories::exposed(&loaded.directories, &loaded.secret_files()) {
            tracing::warn!("{found}: {advice}");
            output::error(&format!("warning: {found}: {advice}"));
        }
        for port in exposed(&loaded.settings) {
            let risk = port.risk();
            tracing::warn!("{risk}");
            output::error(&format!("warning: {risk}; {} has TLS", port.encrypted));
        }
        let process = process(token::fresh(&loaded.directories.data)?)?;
        let around = catalog::surroundings(&process);
        let planner = Planner::new(place.request(&switches.without), environment, process);
        let planner = Arc::new(planner.exit_code_from(switches.exit_code_from.as_deref()));
        let plan = planner.first(loaded)?;
        let refusing = Arc::clone(&planner);
        let (plans, new_plans) = mpsc::channel(WAITING_PLANS);
        let (alerts, settings, alerted) = Alerts::start(plan.launcher.alerts.clone(), around);
        let audience = recorder::audience();
        let mut own_services =
            OwnServices::start(loaded, &planner, plans, limits.clone(), settings, audience.clone())?;
        let names = plan.components.iter().map(|spec| spec.name.as_str());
        let foreground = switches.foreground_logs.then(|| Foreground::start(names)).transpose()?;
        let voice = foreground.as_ref().map_or_else(Voice::plain, Foreground::voice);
        let console = Console::start(usage_hints(loaded, false), voice)?;
        let (recorder, observer) = Recorder::start(&plan.logs, plan.run_id, limits, audience)?;
        let hooks = Hooks {
            observers: vec![observer, alerted],
            progress: Some(console.progress()),
            tap: foreground.as_ref().map(Foreground::tap),
            reload: Some(Box::new(move |consent| planner.again(consent))),
            refused: Some(Box::new(move |reason| refusing.refused(reason))),
            in_force: Some(Box::new(move |plan| own_services.apply(plan))),
            plans: Some(new_plans),
        };
        let outcome = supervisor::supervise(plan, claim, hooks).await;
        alerts.finish().await;
        recorder.finish();
        console.finish();
        let is_read = foreground.is_none_or(Foreground::finish);
        outcome.map(|outcome| (outcome, is_read))
    })
}

/// External problems: all are reported, and an unavailable MongoDB decides the exit code.
async fn preflight(loaded: &Loaded) -> Result<(), Failure> {
    let mut exit = Exit::Failure;
    let mut problems = Vec::new();
    let url = &loaded.settings.store.url;
    if mongodb::is_mongodb(url)
        && let Err(error) = mongodb::test_connection(url).await
    {
        let failure = error.into_failure();
        exit = failure.exit();
        problems.push(failure.to_string());
    }
    let taken = ports::check(&catalog::used_listeners(loaded));
    problems.extend(taken.iter().map(ToString::to_string));
    if let Some(problem) = certificate::check(loaded) {
        exit = Exit::Config;
        problems.push(problem);
    }
    if problems.is_empty() { Ok(()) } else { Err(Failure::new(exit, problems.join("\n  "))) }
}

fn usage_hints(loaded: &Loaded, is_background: bool) -> Vec<String> {
    let mut entries: Vec<(&str, String)> = catalog::usage_hints(loaded);
    if let Some(console) = &loaded.settings.launcher.console_listen {
        let address = console.tcp().map(|address| format!("http://{}", kit::listen::reachable(address)));
        let address = address.unwrap_or_else(|| console.to_string());
        entries.push(("console", format!("{address}   log in with: launcher console")));
    }
    entries.push(("logs", format!("{}   or: launcher logs -f", loaded.directories.logs.display())));
    entries.push(("status", "launcher status".to_owned()));
    entries
        .push(("stop", if is_background { "launcher down" } else { "ctrl-C, or: launcher down" }.to_owned()));
    entries.into_iter().map(|(word, what)| format!("{word:<8}{what}")).collect()
}
