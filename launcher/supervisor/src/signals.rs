//! The signals that the launcher handles.
//!
//! * INT, TERM and QUIT request a shutdown.
//! * HUP means that the terminal is gone, and requests a shutdown, too. A launcher without a terminal reloads its configuration, as daemons
//!   do. If HUP was ignored at the start, as by `nohup(1)`, it stays ignored.
//! * Other signals that would end us without stopping the components are only logged.

use std::fs::File;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// Shutdown signals in the queue: the second one kills, so more have no further effect.
const QUEUED_SIGNALS: usize = 2;

/// The signals that the supervisor acts on. Each message is one.
#[derive(Debug)]
pub(super) struct Signals {
    /// Shutdown signals.
    pub(super) ends: mpsc::Receiver<()>,
    /// Reload signals.
    pub(super) reloads: mpsc::Receiver<()>,
}

impl Signals {
    /// Uses these shutdown signals, and no reload signals.
    pub(super) fn from(ends: mpsc::Receiver<()>) -> Self {
        Self { ends, reloads: mpsc::channel(1).1 }
    }

    /// Installs the signal handlers.
    pub(super) fn listen() -> io::Result<Self> {
        let (end, ends) = mpsc::channel(QUEUED_SIGNALS);
        let (reload, reloads) = mpsc::channel(1);
        for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::quit()] {
            pass_on(signal(kind)?, end.clone());
        }
        if !is_ignored(SignalKind::hangup()) {
            let hangups = signal(SignalKind::hangup())?;
            pass_on(hangups, if has_terminal() { end } else { reload.clone() });
        }
        for (name, kind) in without_meaning() {
            let mut signals = signal(kind)?;
            // Keeps the channel of reloads open.
            let reload = reload.clone();
            tokio::spawn(async move {
                while signals.recv().await.is_some() && !reload.is_closed() {
                    tracing::info!("{name} has no meaning for the launcher; ignored");
                }
            });
        }
        Ok(Self { ends, reloads })
    }
}

/// Signals whose default action ends the process, and that people or the system send, by `signal(7)`. XFSZ means that a file has reached
/// its limit, which the write reports, too.
fn without_meaning() -> Vec<(&'static str, SignalKind)> {
    use rustix::process::Signal as Number;
    let numbers = [
        ("SIGUSR1", Number::USR1),
        ("SIGUSR2", Number::USR2),
        ("SIGALRM", Number::ALARM),
        ("SIGVTALRM", Number::VTALARM),
        ("SIGPROF", Number::PROF),
        ("SIGXFSZ", Number::XFSZ),
        ("SIGIO", Number::IO),
    ];
    numbers.map(|(name, number)| (name, SignalKind::from_raw(number.as_raw()))).into()
}

fn pass_on(mut signals: Signal, to: mpsc::Sender<()>) {
    tokio::spawn(async move {
        while signals.recv().await.is_some() {
            // A pending message has the same effect.
            let _ = to.try_send(());
        }
    });
}

/// Whether there is a controlling terminal.
fn has_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}

/// Whether a signal was ignored when this process was started: the mask is hexadecimal, `proc_pid_status(5)`.
fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (kind.as_raw_value() - 1) & 1 == 1
}
