//! The command line: what can be asked of the launcher, one file a command.

mod chat;
mod check;
mod console;
mod control;
mod detach;
mod down;
mod launcher_log;
mod logs;
mod options;
mod output;
mod planner;
mod reload;
mod report;
mod rotator;
mod run;
mod status;
mod table;
mod tail;
mod timestamp;
mod token;
mod up;
mod why;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use kit::{Exit, Failure};

use options::{Switches, Where};

/// Brings a whole self-hosted chat up with one command, and keeps it up.
#[derive(Debug, Parser)]
#[command(name = "launcher", version, max_term_width = 100, subcommand_help_heading = "Commands")]
struct Cli {
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    switches: Switches,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start everything and keep it running until ctrl-C; this is what happens without a command
    Up(Switches),
    /// Look at the configuration, the ports and MongoDB, and say what would start
    Check(check::Args),
    /// Show how everything is
    Status(status::Args),
    /// Show what the components say
    Logs(logs::Args),
    /// Stop a component and start it again
    Restart(control::Args),
    /// Stop a component until it is started
    Stop(control::Args),
    /// Start a component that is stopped or given up
    Start(control::Args),
    /// Stop everything
    Down,
    /// Put the configuration as it is now into force
    Reload(reload::Args),
    /// Say why a component is as it is
    Why(why::Args),
    /// Run one component in the foreground, without the launcher around it
    Run(run::Args),
    /// Chat from this terminal
    Chat(chat::Args),
}

/// Does what the command line says, and returns how it ended. What went wrong has been said by then.
#[must_use]
pub fn main() -> Exit {
    let parsed = Cli::command().after_help(after_help()).try_get_matches();
    match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => match dispatch(cli) {
            Ok(exit) => exit,
            Err(failure) => {
                output::error(&failure.to_string());
                failure.exit()
            }
        },
        Err(error) => {
            let asked_for = !error.use_stderr();
            // A closed pipe (`launcher --help | head`) is nobody's fault.
            let _ = error.print();
            if asked_for { Exit::Fine } else { Exit::Usage }
        }
    }
}

fn dispatch(cli: Cli) -> Result<Exit, Failure> {
    let place = cli.place;
    if let Some(flag) = cli.switches.first().filter(|_| !matches!(cli.command, None | Some(Command::Up(_)))) {
        let what = format!("{flag} goes with 'up', not with this command; try 'launcher --help'");
        return Err(Failure::new(Exit::Usage, what));
    }
    match cli.command {
        None => up::up(&place, &cli.switches),
        Some(Command::Up(switches)) => up::up(&place, &cli.switches.or(&switches)),
        Some(Command::Check(args)) => check::check(&place, &args),
        Some(Command::Status(args)) => status::status(&place, &args),
        Some(Command::Logs(args)) => logs::logs(&place, &args),
        Some(Command::Restart(args)) => control::restart(&place, &args),
        Some(Command::Stop(args)) => control::stop(&place, &args),
        Some(Command::Start(args)) => control::start(&place, &args),
        Some(Command::Down) => down::down(&place),
        Some(Command::Reload(args)) => reload::reload(&place, &args),
        Some(Command::Why(args)) => why::why(&place, &args),
        Some(Command::Run(args)) => run::run(&place, &args),
        Some(Command::Chat(args)) => chat::chat(&place, args),
    }
}

/// Examples, and the exit codes from their one table.
fn after_help() -> String {
    use std::fmt::Write;
    let mut text = String::from(
        "Examples:
  launcher                                      start everything; ctrl-C stops it
  launcher --no-openai --detach                 start without the bot, in the background
  launcher --set chat-server.listen=0.0.0.0:5000   let other machines in
  launcher check                                is the configuration right, are the ports free?
  launcher logs chat-server -f                  follow one component's log
  launcher chat --name alice                    chat from here

Exit codes:",
    );
    for (_, code, meaning) in Exit::TABLE {
        let _ = write!(text, "\n  {code:>3}  {meaning}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
