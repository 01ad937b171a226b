//! How a component is asked to end.

use std::ffi::OsString;

use rustix::process::Signal;
use serde::{Deserialize, Serialize};

/// How a component is asked to end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StopSpec {
    /// The signal that all of its processes are sent.
    pub signal: StopSignal,
    /// A program, with its arguments, that is run before the signal; empty if there is none. If it exits with 0 the signal is sent at the
    /// end of the grace period, otherwise at once.
    pub command: Vec<OsString>,
}

/// A signal that asks a process to end, `signal(7)`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopSignal {
    /// The default.
    #[default]
    #[serde(rename = "TERM", alias = "SIGTERM")]
    Term,
    /// Like ctrl-C.
    #[serde(rename = "INT", alias = "SIGINT")]
    Int,
    /// For many servers a graceful stop after open requests.
    #[serde(rename = "QUIT", alias = "SIGQUIT")]
    Quit,
    /// Like the end of a terminal.
    #[serde(rename = "HUP", alias = "SIGHUP")]
    Hup,
    /// Its meaning depends on the program.
    #[serde(rename = "USR1", alias = "SIGUSR1")]
    Usr1,
    /// Its meaning depends on the program.
    #[serde(rename = "USR2", alias = "SIGUSR2")]
    Usr2,
    /// Its meaning depends on the program.
    #[serde(rename = "WINCH", alias = "SIGWINCH")]
    Winch,
    /// An end with a core dump.
    #[serde(rename = "ABRT", alias = "SIGABRT")]
    Abrt,
    /// An immediate end.
    #[serde(rename = "KILL", alias = "SIGKILL")]
    Kill,
}

impl StopSignal {
    /// The system's signal.
    pub(super) fn signal(self) -> Signal {
        match self {
            Self::Term => Signal::TERM,
            Self::Int => Signal::INT,
            Self::Quit => Signal::QUIT,
            Self::Hup => Signal::HUP,
            Self::Usr1 => Signal::USR1,
            Self::Usr2 => Signal::USR2,
            Self::Winch => Signal::WINCH,
            Self::Abrt => Signal::ABORT,
            Self::Kill => Signal::KILL,
        }
    }
}
