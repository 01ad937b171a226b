//! The name of a component as an argument of a command.

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};

/// Stands for the names of all components in a generated completion script.
pub(super) const NAMES: &str = "@names@";

/// A component's name: any name, because programs can be components; completion suggests those there are.
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
        Some(Box::new(std::iter::once(PossibleValue::new(NAMES))))
    }
}
