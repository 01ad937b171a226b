//! The table of exit codes, which `--help` prints. Numbers from 64 on are those of BSD's `sysexits(3)`.

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Succeeded, or stopped on request.
    Fine,
    /// Any other failure.
    Failure,
    /// No running launcher can report its status.
    NotRunning,
    /// The command line is invalid.
    Usage,
    /// MongoDB or another dependency cannot be reached.
    Unavailable,
    /// Another launcher already runs on this data directory.
    AlreadyRunning,
    /// The configuration is invalid; restarting does not help.
    Config,
}

impl Exit {
    /// Every exit, with its code and meaning, in order of the code.
    pub const TABLE: [(Self, u8, &'static str); 7] = [
        (Self::Fine, 0, "success"),
        (Self::Failure, 1, "failure; status: something is not healthy"),
        (Self::NotRunning, 2, "status: no launcher can be asked"),
        (Self::Usage, 64, "usage error"),
        (Self::Unavailable, 69, "MongoDB or another dependency is unavailable"),
        (Self::AlreadyRunning, 75, "a launcher is already running on this data directory"),
        (Self::Config, 78, "configuration error"),
    ];

    /// The exit code.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Failure => 1,
            Self::NotRunning => 2,
            Self::Usage => 64,
            Self::Unavailable => 69,
            Self::AlreadyRunning => 75,
            Self::Config => 78,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_the_codes_are() {
        for (exit, code, _) in Exit::TABLE {
            assert_eq!(exit.code(), code);
        }
    }
}
