//! How a process ended.

use std::fmt;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProcessExit {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Nobody can tell: somebody else took its status.
    Unknown,
}

impl ProcessExit {
    /// Whether it said that its configuration is wrong, so that starting it again cannot help.
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
            Self::Unknown => f.write_str("ended, nobody knows how"),
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
