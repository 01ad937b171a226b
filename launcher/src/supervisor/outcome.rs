//! How it ended.

use super::exit::ProcessExit;

/// How a run of the supervisor ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Processes that did not end even when killed (the kernel holds them); empty in any sane world.
    pub abandoned: Vec<String>,
    /// The component whose end was the end of all, where nobody else wanted it.
    pub ended_by: Option<EndedBy>,
}

/// A component whose end was the end of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedBy {
    /// Its name.
    pub component: String,
    /// How it ended, in words that fit after its name.
    pub why: String,
    /// Its status; none where it could not be started, or was ended because it did not serve.
    pub exit: Option<ProcessExit>,
}

impl EndedBy {
    /// The exit code that stands for its end, as a shell has it: 128 and the signal's number where it was killed by one.
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
