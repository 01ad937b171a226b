//! `launcher.on-event`: a program is run with each event, one after the other, the event as a line of JSON on its standard input.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use uuid::Uuid;

use super::alert::Alert;
use super::backlog::Backlog;
use super::spell::Spell;
use crate::supervisor::{AlertSpec, RUN, run_program};

/// How long it may run; then it is killed with its group.
const LIMIT: Duration = Duration::from_secs(10);

/// What its processes are marked with; no component has such a name.
const MARK: &str = "@on-event";

/// What the program is started with.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// This run of the launcher.
    pub run_id: Uuid,
    /// Our executable, which ties the program to us.
    pub executable: PathBuf,
    /// Its arguments before the program.
    pub shim: Vec<OsString>,
    /// Variables of ours that it does not get.
    pub env_remove: Vec<OsString>,
}

/// Runs it for each alert, until there are no more.
pub(super) async fn tell(alerts: Arc<Backlog>, spec: watch::Receiver<AlertSpec>, around: Surroundings) {
    let mut spell = Spell::of("launcher.on-event");
    while let Some(alert) = alerts.take().await {
        let command = spec.borrow().program.clone();
        if !command.is_empty() {
            spell.note(run(&command, &alert, &around).await);
        }
    }
}

async fn run(words: &[String], alert: &Alert, around: &Surroundings) -> Result<(), String> {
    let name = words.first().map_or("", String::as_str);
    let mut command = Command::new(&around.executable);
    command.args(&around.shim).args(words);
    for variable in &around.env_remove {
        command.env_remove(variable);
    }
    for variable in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
        command.env_remove(variable);
    }
    command.env(RUN, format!("{}/{MARK}", around.run_id));
    command.env(kit::lifeline::LAUNCHER_PID, std::process::id().to_string());
    command.env("LAUNCHER_EVENT", alert.event.word()).env("LAUNCHER_COMPONENT", &alert.component);
    match tokio::time::timeout(LIMIT, run_program(command, Some(alert.line()))).await {
        Err(_) => Err(format!("{name} did not end within {} s and was killed", LIMIT.as_secs())),
        Ok(ended) => ended.map_err(|what| format!("{name} {what}")),
    }
}
