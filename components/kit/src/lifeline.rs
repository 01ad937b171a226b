//! Ends this process when the launcher exits for any reason.
//!
//! There are two mechanisms, because each has a gap. The parent-death signal (`prctl(2)`, `PR_SET_PDEATHSIG`) is lost if the launcher dies
//! before it is set, and exists only on Linux. The lifeline is standard input, a pipe whose other end only the launcher holds: end of file
//! means that the launcher has exited. Both are used only if the launcher requests it through the environment, so that `launcher run` works
//! alone.

use std::io::Read;
use std::time::Duration;

use rustix::process::{Pid, Signal, getppid};
use tokio_util::sync::CancellationToken;

/// Environment variable with the launcher's process id; if set, standard input is the lifeline.
pub const LAUNCHER_PID: &str = "P2P_LAUNCHER_PID";

/// How long an orderly shutdown may take after the launcher's exit; then the process exits at once. No acknowledged message is at risk,
/// because those are on disk.
const ORPHAN_GRACE: Duration = Duration::from_millis(2500);

/// Sets the parent-death signal, which survives `exec(2)`: when the launcher exits, this process receives TERM. Call it from the main
/// thread.
///
/// False if the launcher that started this process has already exited.
#[must_use]
pub fn tie() -> bool {
    let Some(launcher) = launcher() else { return true };
    #[cfg(target_os = "linux")]
    {
        // On failure, the lifeline and the launcher's guard still work.
        let _ = rustix::process::set_parent_process_death_signal(Some(Signal::TERM));
    }
    getppid() == Some(launcher)
}

/// The process id of the launcher that started this process, if any.
fn launcher() -> Option<Pid> {
    std::env::var(LAUNCHER_PID).ok().and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw)
}

/// Ties this process to the launcher that started it, if any. Call it first, from the main thread.
pub fn hold(shutdown: &CancellationToken) {
    if launcher().is_none() {
        return;
    }
    if !tie() {
        shutdown.cancel();
    }
    let shutdown = shutdown.clone();
    // A separate thread, because it must work even when the runtime is stuck.
    let watch = move || {
        wait_for_end_of_input();
        shutdown.cancel();
        std::thread::sleep(ORPHAN_GRACE);
        rustix::process::kill_process(rustix::process::getpid(), Signal::KILL).ok();
    };
    // Without the thread, the parent-death signal still works.
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
