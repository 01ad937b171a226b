//! The exit code of the launcher: its own, or that of the component given by `--exit-code-from`.

use std::process::ExitCode;

use kit::Exit;

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// With an exit code of the table.
    Own(Exit),
    /// With the exit code of a component's program.
    Program(u8),
}

impl From<Exit> for Code {
    fn from(exit: Exit) -> Self {
        Self::Own(exit)
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        match code {
            Code::Own(exit) => exit.into(),
            Code::Program(code) => code.into(),
        }
    }
}
