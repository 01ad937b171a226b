//! Maps a command's result to an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    launcher::cli::main().into()
}
