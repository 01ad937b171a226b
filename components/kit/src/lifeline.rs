//! Ends this process when the launcher is gone, however it went.
//!
//! Two ways, because each has a hole. The parent-death signal (`prctl(2)`, `PR_SET_PDEATHSIG`) is lost if the launcher dies
//! before it is set, and only Linux has it. The lifeline is standard input, a pipe whose other end only the launcher holds: its end of file is the
//! launcher's end. Neither is used unless the launcher asks for it through the environment, so that `launcher run` works alone.

use std::io::Read;
use std::time::Duration;

use rustix::process::{Pid, Signal, getppid};
use tokio_util::sync::CancellationToken;

/// Holds the launcher's process id; its presence says that standard input is the lifeline.
pub const LAUNCHER_PID: &str = "P2P_LAUNCHER_PID";

/// How long an orderly end may take once the launcher is gone; then the process is ended as it is. Nothing acknowledged is at
/// stake: that is on disk.
const ORPHAN_GRACE: Duration = Duration::from_millis(2500);

/// Sets the parent-death signal, which outlives `exec(2)`: the end of the launcher is a TERM for this process. Call it from the
/// main thread.
///
/// False when the launcher that started this process is gone already.
#[must_use]
pub fn tie() -> bool {
    let Some(launcher) = launcher() else { return true };
    #[cfg(target_os = "linux")]
    {
        // Failure leaves the lifeline, and the launcher's guard.
        let _ = rustix::process::set_parent_process_death_signal(Some(Signal::TERM));
    }
    getppid() == Some(launcher)
}

/// The launcher that started this process, if one did.
fn launcher() -> Option<Pid> {
    std::env::var(LAUNCHER_PID).ok().and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw)
}

/// Ties this process to the launcher that started it, if one did. Call it first, from the main thread.
pub fn hold(shutdown: &CancellationToken) {
    if launcher().is_none() {
        return;
    }
    if !tie() {
        shutdown.cancel();
    }
    let shutdown = shutdown.clone();
    // A thread of its own: it must work even when the runtime is stuck.
    let watch = move || {
        wait_for_end_of_input();
        shutdown.cancel();
        std::thread::sleep(ORPHAN_GRACE);
        rustix::process::kill_process(rustix::process::getpid(), Signal::KILL).ok();
    };
    // Without a thread the parent-death signal is left, which is enough.
    let _ = std::thread::Builder::new().name("lifeline".to_owned()).spawn(watch);
}

fn wait_for_end_of_input() {
    let mut stdin = std::io::stdin().lock();
    let mut buffer = [0; 64];
    loop {
        match stdin.read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
