//! The result of a run.

use super::exit::ProcessExit;

/// How a run of the supervisor ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Processes that did not end after SIGKILL because the kernel blocks them; normally empty.
    pub abandoned: Vec<String>,
    /// The component whose end stopped everything, unless a stop was requested.
    pub ended_by: Option<EndedBy>,
}

/// A component whose end stopped everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedBy {
    /// Its name.
    pub component: String,
    /// How it ended, in words that fit after its name.
    pub why: String,
    /// Its exit status; `None` if it could not be started, or was killed because it was not ready.
    pub exit: Option<ProcessExit>,
}

impl EndedBy {
    /// The exit code that represents its end as in a shell: 128 plus the signal's number if it was killed by one.
    #[must_use]
    pub fn code(&self) -> u8 {
        let code = match self.exit {
            Some(ProcessExit::Code(code)) => code,
            Some(ProcessExit::Signal(signal)) => 128 + signal,
            Some(ProcessExit::Unknown) | None => 1,
        };
        u8::try_from(code & 0xff).unwrap_or(1)
    }
}
