//! `launcher shim`: ties the process to the launcher and then executes another program, which would not do so by itself. The supervisor
//! starts programs through it.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use clap::Parser;
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

/// The same without the other commands.
#[derive(Debug, clap::Parser)]
struct Only {
    #[command(flatten)]
    args: Args,
}

/// The arguments of a command line that asks for it. Each start of a program waits for this, and the definition of the whole command line
/// would take longer than all else that the shim does. `None` also if they are wrong: then that one says so.
pub(super) fn only(mut words: impl Iterator<Item = OsString>) -> Option<Args> {
    let program = words.next()?;
    words.next().filter(|word| word == "shim")?;
    Only::try_parse_from(std::iter::once(program).chain(words)).ok().map(|only| only.args)
}

/// Returns only if the program cannot be executed.
pub(super) fn shim(args: &Args) -> Result<Exit, Failure> {
    if !kit::lifeline::tie() {
        return Ok(Exit::Fine);
    }
    if let Some(umask) = args.umask {
        kit::files::set_umask(umask);
    }
    if let Some(files) = args.open_files {
        let limit = Rlimit { current: Some(files), ..getrlimit(Resource::Nofile) };
        // The program is run even if the limit cannot be lowered.
        let _ = setrlimit(Resource::Nofile, limit);
    }
    let (program, arguments) = args.command.split_first().expect("the command line asks for a program");
    let mut command = Command::new(program);
    // Both may require rights that another user lacks.
    join_control_group(&mut command);
    set_limits(&mut command).map_err(|what| Failure::new(Exit::Config, what))?;
    identity::take_on(&args.identity, &mut command)?;
    // Changing the user clears the parent-death signal, `prctl(2)`.
    if !kit::lifeline::tie() {
        return Ok(Exit::Fine);
    }
    let error = command.args(arguments).exec();
    Err(Failure::new(Exit::Failure, format!("cannot run {}: {error}", program.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> impl Iterator<Item = OsString> {
        line.split(' ').map(OsString::from)
    }

    #[test]
    fn it_is_told_from_other_commands_and_its_program_keeps_its_options() {
        let args = only(words("launcher shim --umask=27 --user www -- sh -c --umask=1 shim")).unwrap();
        assert_eq!(args.umask, Some(0o27));
        assert_eq!(args.command, ["sh", "-c", "--umask=1", "shim"]);
        for other in [
            "launcher",
            "launcher up",
            "launcher --data shim",
            "launcher shim",
            "launcher shim --umask=9 true",
        ] {
            assert!(only(words(other)).is_none(), "{other}");
        }
    }
}
