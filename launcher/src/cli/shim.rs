//! `launcher shim`: becomes a program of the operator's, after it has tied the process to the launcher, which that program would
//! not do by itself. The supervisor starts external commands through it.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use kit::{Exit, Failure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::identity::{self, Identity};
use crate::supervisor::{join_control_group, set_limits};

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The umask it gets, in octal digits
    #[arg(long, value_parser = |text: &str| u32::from_str_radix(text, 8))]
    umask: Option<u32>,
    /// How many files it may have open
    #[arg(long)]
    open_files: Option<u64>,
    #[command(flatten)]
    identity: Identity,
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// Returns only when the program cannot be run.
pub(super) fn shim(args: &Args) -> Result<Exit, Failure> {
    if !kit::lifeline::tie() {
        return Ok(Exit::Fine);
    }
    if let Some(umask) = args.umask {
        kit::files::set_umask(umask);
    }
    if let Some(files) = args.open_files {
        let limit = Rlimit { current: Some(files), ..getrlimit(Resource::Nofile) };
        // A limit that cannot be lowered is none to run without the program for.
        let _ = setrlimit(Resource::Nofile, limit);
    }
    let (program, arguments) = args.command.split_first().expect("the command line asks for a program");
    let mut command = Command::new(program);
    // Both may need what another user may not do.
    join_control_group(&mut command);
    set_limits(&mut command).map_err(|what| Failure::new(Exit::Config, what))?;
    identity::take_on(&args.identity, &mut command)?;
    // Whoever becomes another user loses the parent-death signal, `prctl(2)`.
    if !kit::lifeline::tie() {
        return Ok(Exit::Fine);
    }
    let error = command.args(arguments).exec();
    Err(Failure::new(Exit::Failure, format!("cannot run {}: {error}", program.display())))
}
