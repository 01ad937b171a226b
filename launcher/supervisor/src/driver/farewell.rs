//! The termination of a process: its stop command first, if it has one, then its signal.

use std::pin::Pin;

use rustix::process::Signal;
use tokio::time::{Instant, sleep_until, timeout_at};
use uuid::Uuid;

use super::process::set_environment;
use super::program::run;
use crate::spec::ComponentSpec;

/// The pending signal of a process that is to end.
#[derive(Default)]
pub(super) struct Farewell(Option<Pin<Box<dyn Future<Output = Signal> + Send>>>);

impl Farewell {
    /// Begins the termination. Returns the signal to send at once, if there is no stop command.
    pub(super) fn begin(&mut self, spec: Box<ComponentSpec>, run_id: Uuid, pid: u32) -> Option<Signal> {
        if spec.stop.command.is_empty() {
            return Some(spec.stop.signal.signal());
        }
        self.0 = Some(Box::pin(after_command(spec, run_id, pid)));
        None
    }

    /// Cancels what is pending; a running stop command is killed.
    pub(super) fn end(&mut self) {
        self.0 = None;
    }

    /// Waits until the signal must be sent; returns it once.
    pub(super) async fn signal(&mut self) -> Signal {
        match &mut self.0 {
            Some(signal) => {
                let signal = signal.await;
                self.0 = None;
                signal
            }
            None => std::future::pending().await,
        }
    }
}

/// After a successful stop command, the process has the rest of the grace period to end by itself.
async fn after_command(spec: Box<ComponentSpec>, run_id: Uuid, pid: u32) -> Signal {
    let until = Instant::now() + spec.stop_grace;
    let component = spec.name.as_str();
    match timeout_at(until, command(&spec, run_id, pid)).await {
        Ok(Ok(())) => sleep_until(until).await,
        Ok(Err(what)) => tracing::warn!(component, "its stop-command {what}"),
        Err(_) => {
            tracing::warn!(component, "its stop-command took longer than its stop-grace; it was killed")
        }
    }
    spec.stop.signal.signal()
}

async fn command(spec: &ComponentSpec, run_id: Uuid, pid: u32) -> Result<(), String> {
    let Some((program, args)) = spec.stop.command.split_first() else { return Ok(()) };
    let prepared = set_environment(program.as_ref(), args, spec, run_id);
    let mut prepared = prepared.map_err(|error| format!("cannot be started: {error}"))?;
    prepared.env("MAINPID", pid.to_string());
    run(prepared, None).await
}
