//! `launcher help`: a command's help, or what a key of the configuration means (`launcher help config chat-server.listen`).
//!
//! The keys are explained in one place, the default file, which is embedded: the comment above a key belongs to it.

use kit::{Exit, Failure};

use super::output;
use crate::config;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A command; or 'config' and a key, or the beginning of one
    #[arg(value_name = "COMMAND")]
    words: Vec<String>,
}

/// Prints it.
pub(super) fn help(command: clap::Command, args: &Args) -> Result<Exit, Failure> {
    let words: Vec<&str> = args.words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["config"] => explain(""),
        ["config", key] => explain(key),
        path => of_command(command, path),
    }
}

fn of_command(mut command: clap::Command, path: &[&str]) -> Result<Exit, Failure> {
    command.build();
    let mut found = &mut command;
    for name in path {
        found = found.find_subcommand_mut(name).ok_or_else(|| {
            let what = format!("there is no command '{}'; see 'launcher --help'", path.join(" "));
            Failure::new(Exit::Usage, what)
        })?;
    }
    output::line(found.render_help().to_string().trim_end());
    Ok(Exit::Fine)
}

/// The keys that are, or begin with, what was asked for.
fn explain(wanted: &str) -> Result<Exit, Failure> {
    let keys = config::explained(config::DEFAULT_FILE);
    let exact = keys.iter().filter(|key| key.name == wanted);
    let of_section = keys.iter().filter(|key| key.name.starts_with(wanted));
    let texts: Vec<String> = match exact.map(config::Explained::text).collect::<Vec<_>>() {
        exact if !exact.is_empty() => exact,
        _ => of_section.map(config::Explained::text).collect(),
    };
    if texts.is_empty() {
        let near = config::nearest_key(wanted, &keys);
        let near = near.map_or_else(String::new, |name| format!("; did you mean '{name}'?"));
        let what = format!("there is no key '{wanted}'{near}; 'launcher help config' lists all");
        return Err(Failure::new(Exit::Usage, what));
    }
    output::line(&texts.join("\n\n"));
    Ok(Exit::Fine)
}
