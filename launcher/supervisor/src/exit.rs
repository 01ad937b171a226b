//! Exit status and resource usage of a process.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProcessExit {
    /// It exited with this code.
    Code(i32),
    /// It was killed by this signal.
    Signal(i32),
    /// Its status is unknown, because somebody else has taken it.
    Unknown,
}

/// The resources used by a process and by its descendants that it waited for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// CPU time in user mode.
    pub user: Duration,
    /// CPU time in the kernel.
    pub system: Duration,
    /// The maximum resident memory in bytes; it includes the moment after `fork`, when the process was a copy of the launcher.
    pub max_rss: u64,
}

impl ProcessExit {
    /// Converts a status of `wait(2)`.
    pub(crate) fn of(status: std::process::ExitStatus) -> Self {
        use std::os::unix::process::ExitStatusExt;
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, Some(signal)) => Self::Signal(signal),
            (None, None) => Self::Unknown,
        }
    }

    /// Whether it exited as a program does that has completed its work.
    pub(crate) fn is_clean(self) -> bool {
        self == Self::Code(0)
    }

    /// Whether it was killed by a signal that it could not handle.
    pub(crate) fn is_kill(self) -> bool {
        self == Self::Signal(rustix::process::Signal::KILL.as_raw())
    }

    /// Whether somebody killed it from outside, so that its end is not the program's fault.
    pub(crate) fn is_from_outside(self) -> bool {
        use rustix::process::Signal;
        let outside = [Signal::KILL, Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT];
        matches!(self, Self::Signal(number) if outside.iter().any(|signal| signal.as_raw() == number))
    }

    /// Whether it reported a configuration error, so that restarting does not help.
    pub(crate) fn is_config_error(self) -> bool {
        self == Self::Code(i32::from(kit::Exit::Config.code()))
    }
}

impl fmt::Display for ProcessExit {
    /// Fits after the component's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with code {code}"),
            Self::Signal(number) => match signal_name(*number) {
                Some(name) => write!(f, "was killed by {name}"),
                None => write!(f, "was killed by signal {number}"),
            },
            Self::Unknown => f.write_str("exit status unknown"),
        }
    }
}

/// The names of the signals that end processes, from `signal(7)`.
fn signal_name(number: i32) -> Option<&'static str> {
    use rustix::process::Signal;
    let names = [
        (Signal::ABORT, "SIGABRT"),
        (Signal::ALARM, "SIGALRM"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::HUP, "SIGHUP"),
        (Signal::ILL, "SIGILL"),
        (Signal::INT, "SIGINT"),
        (Signal::KILL, "SIGKILL"),
        (Signal::PIPE, "SIGPIPE"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::SYS, "SIGSYS"),
        (Signal::TERM, "SIGTERM"),
        (Signal::TRAP, "SIGTRAP"),
        (Signal::XCPU, "SIGXCPU"),
        (Signal::XFSZ, "SIGXFSZ"),
    ];
    names.into_iter().find(|(signal, _)| signal.as_raw() == number).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_said_in_words() {
        assert_eq!(ProcessExit::Code(3).to_string(), "exited with code 3");
        assert_eq!(ProcessExit::Signal(9).to_string(), "was killed by SIGKILL");
        assert_eq!(ProcessExit::Signal(40).to_string(), "was killed by signal 40");
        assert!(ProcessExit::Code(78).is_config_error());
        assert!(!ProcessExit::Signal(78).is_config_error());
    }
}
