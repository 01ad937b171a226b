//! `launcher completions`: shell completion scripts, generated from the definition of the command line.

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap_complete::Shell;
use kit::{Exit, Failure};

use super::output;
use crate::catalog;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

pub(super) fn completions(mut command: clap::Command, args: &Args) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "launcher", &mut script);
    output::line(String::from_utf8_lossy(&script).trim_end());
    Ok(Exit::Fine)
}

/// A component's name: any name, because programs can be components; built-in ones are suggested by completion.
#[derive(Debug, Clone)]
pub(super) struct ComponentName;

impl TypedValueParser for ComponentName {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(catalog::names().map(PossibleValue::new)))
    }
}
