//! How a process is asked to end: its own command first, where it has one, and then its signal.

use std::pin::Pin;

use rustix::process::Signal;
use tokio::time::{Instant, sleep_until, timeout_at};
use uuid::Uuid;

use super::process::dress;
use super::program::run;
use crate::supervisor::spec::ComponentSpec;

/// What is on its way to a process that is to end.
#[derive(Default)]
pub(super) struct Farewell(Option<Pin<Box<dyn Future<Output = Signal> + Send>>>);

impl Farewell {
    /// Begins; the signal that is to be sent at once, where no command comes first.
    pub(super) fn begin(&mut self, spec: Box<ComponentSpec>, run_id: Uuid, pid: u32) -> Option<Signal> {
        if spec.stop.command.is_empty() {
            return Some(spec.stop.signal.signal());
        }
        self.0 = Some(Box::pin(after_command(spec, run_id, pid)));
        None
    }

    /// There is nothing more to say; a command that runs is killed.
    pub(super) fn end(&mut self) {
        self.0 = None;
    }

    /// Waits until the signal is to be sent, once.
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

/// A command that did what it is for leaves the process the rest of the grace to end by itself.
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
    let dressed = dress(program.as_ref(), args, spec, run_id);
    let mut dressed = dressed.map_err(|error| format!("cannot be started: {error}"))?;
    dressed.env("MAINPID", pid.to_string());
    run(dressed, None).await
}
