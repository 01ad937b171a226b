//! The exit code of the whole: ours, or that of a program that everything was run for.

use std::process::ExitCode;

use kit::Exit;

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// As the table of exit codes says.
    Own(Exit),
    /// As a component's program ended.
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
