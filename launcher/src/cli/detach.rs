//! `launcher --detach`: starts the launcher in the background, and returns once everything is ready.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kit::{Exit, Failure};
use tokio::runtime::Runtime;

use super::options::small_runtime;
use super::umask::UMASK;
use super::{output, report};
use crate::config::Loaded;
use crate::supervisor::Snapshot;
use crate::supervisor::control::{self, Request, Response};
use crate::supervisor::status::State;

/// The background process's standard error: only errors before its log begins, and panics.
const ERRORS: &str = "launcher.err";
/// The polling interval.
const POLL_INTERVAL: Duration = Duration::from_millis(30);
/// Added to the time limit for components to become ready.
const MARGIN: Duration = Duration::from_secs(30);

/// Starts the background process, and returns once everything is ready.
pub(super) fn detach(loaded: &Loaded, look: &[String]) -> Result<Exit, Failure> {
    let errors = loaded.directories.logs.join(ERRORS);
    let mut child = spawn(&errors)?;
    let deadline = Instant::now() + loaded.settings.launcher.ready_timeout + MARGIN;
    let runtime = small_runtime()?;
    loop {
        if let Some(status) = child.try_wait()? {
            return Err(ended(status.code(), &errors));
        }
        if let Some(snapshot) = ask(&runtime, &loaded.directories.data, child.id()).filter(is_settled) {
            return Ok(show(&snapshot, look));
        }
        if Instant::now() > deadline {
            let what = format!(
                "not everything is ready yet; startup continues in the background (pid {})",
                child.id()
            );
            return Err(Failure::new(Exit::Failure, what));
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// Runs the same command line with a flag that marks the background process, which leaves our session itself.
fn spawn(errors: &Path) -> Result<Child, Failure> {
    let stderr = kit::files::open(errors, OpenOptions::new().write(true).create(true).truncate(true))?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(std::env::args_os().skip(1).filter(|argument| argument != "--detach"));
    command.arg("--background").stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
    // The background process determines the umask for programs itself.
    if let Some(umask) = UMASK.get() {
        kit::files::set_umask(*umask);
    }
    let child = command.spawn();
    kit::files::set_private_umask();
    Ok(child?)
}

/// Leaves the terminal's session, so that closing the terminal does not end this process. Called in the background process.
pub(super) fn leave_session() {
    // Fails only for the leader of a process group, which has no session to leave.
    let _ = rustix::process::setsid();
}

/// The status, if our background process answers.
fn ask(runtime: &Runtime, data: &Path, pid: u32) -> Option<Snapshot> {
    match runtime.block_on(control::request(data, &Request::Status)) {
        Ok(Response::Status { snapshot }) if snapshot.launcher_pid == pid => Some(snapshot),
        _ => None,
    }
}

/// Whether no component is starting or stopping.
fn is_settled(snapshot: &Snapshot) -> bool {
    let under_way =
        |state| matches!(state, State::Waiting | State::Starting | State::Running | State::Backoff);
    !snapshot.components.iter().any(|component| under_way(component.state))
}

fn show(snapshot: &Snapshot, look: &[String]) -> Exit {
    for line in report::started(snapshot).lines(output::is_coloured()) {
        output::line(&line);
    }
    output::line("");
    look.iter().for_each(|line| output::line(line));
    let failed = snapshot.components.iter().any(|component| component.state == State::Failed);
    if failed { Exit::Failure } else { Exit::Fine }
}

/// The error of a background process that has ended: with its own output and exit code.
fn ended(code: Option<i32>, errors: &Path) -> Failure {
    let said = std::fs::read_to_string(errors).unwrap_or_default();
    let said = said.trim().trim_start_matches("launcher: ");
    let exit = Exit::TABLE.into_iter().find(|(_, number, _)| code == Some(i32::from(*number)));
    let exit = exit.map_or(Exit::Failure, |(exit, _, _)| exit);
    let text =
        if said.is_empty() { "the background process exited before everything was ready" } else { said };
    Failure::new(if exit == Exit::Fine { Exit::Failure } else { exit }, text.to_owned())
}
