//! The signals that we take.
//!
//! * INT, TERM and QUIT ask for the end.
//! * HUP says that the terminal is gone, and asks for the end, too. A launcher that has no terminal reads its configuration again, as
//!   daemons do. Where it was ignored when we were started, as by `nohup(1)`, it stays ignored.
//! * Others that would end us without stopping the components are told of in the log, and nothing more.

use std::fs::File;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// Wishes that may wait: the second kills, so more say nothing new.
const WISHES: usize = 2;

/// What of them the supervisor acts on. Each message is one.
#[derive(Debug)]
pub(super) struct Signals {
    /// Of those that ask for the end.
    pub(super) ends: mpsc::Receiver<()>,
    /// Of those that ask for a look at the configuration.
    pub(super) reloads: mpsc::Receiver<()>,
}

impl Signals {
    /// Those that ask for the end come from elsewhere, and there are no others.
    pub(super) fn from(ends: mpsc::Receiver<()>) -> Self {
        Self { ends, reloads: mpsc::channel(1).1 }
    }

    /// Takes the signals from now on.
    pub(super) fn listen() -> io::Result<Self> {
        let (end, ends) = mpsc::channel(WISHES);
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
            // The channel of reloads stays open with it.
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

/// Those whose default is the end of the process at once, and that people or the system send, by `signal(7)`. XFSZ says that a file has
/// reached its limit, which the write says, too.
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
            // One that waits says the same.
            let _ = to.try_send(());
        }
    });
}

/// Whether there is a terminal whose end is ours.
fn has_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}

/// Whether a signal was ignored when this process was started: the mask of those is a number in hexadecimal, `proc_pid_status(5)`.
fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (kind.as_raw_value() - 1) & 1 == 1
}
