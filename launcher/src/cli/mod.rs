//! The command line: what can be asked of the launcher, one file a command.

mod api;
mod backup;
mod chat;
mod check;
mod completions;
mod console;
mod control;
mod crashes;
mod detach;
mod doctor;
mod down;
mod guard;
mod history;
mod import;
mod itself;
mod lan;
mod launcher_log;
mod logs;
mod man;
mod metrics;
mod migrate;
mod options;
mod output;
mod overview;
mod past;
mod planner;
mod probe;
mod proof;
mod reload;
mod report;
mod restore;
mod retention;
mod run;
mod running;
#[cfg(test)]
pub(crate) mod sample;
mod shim;
mod status;
mod table;
mod tail;
mod timestamp;
mod token;
mod top;
mod trace;
mod up;
mod users;
mod waiting;
mod watch;
mod why;

use std::sync::OnceLock;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use kit::{Exit, Failure};

use options::{Nothing, Switches, Where, With};

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
    Up(With<Switches>),
    /// Look at the configuration, the ports and MongoDB, and say what would start
    Check(With<check::Args>),
    /// Say whether this machine is fit to run the chat, and what to do where it is not
    Doctor(With<doctor::Args>),
    /// Show how everything is
    Status(With<status::Args>),
    /// Watch everything on the whole screen, with keys to restart, stop and start
    Top(With<top::Args>),
    /// Show what the components say
    Logs(With<logs::Args>),
    /// Stop a component and start it again
    Restart(With<control::Args>),
    /// Stop a component until it is started
    Stop(With<control::Args>),
    /// Start a component that is stopped or given up
    Start(With<control::Args>),
    /// Stop everything
    Down(With<Nothing>),
    /// Put the configuration as it is now into force
    Reload(With<reload::Args>),
    /// Say why a component is as it is
    Why(With<why::Args>),
    /// Show what is known of components that crashed
    Crashes(With<crashes::Args>),
    /// Run one component in the foreground, without the launcher around it
    Run(With<run::Args>),
    /// List everybody who ever logged in
    Users(With<users::Args>),
    /// Send a message through the chat server and wait until it is back
    Probe(With<probe::Args>),
    /// Show where a message has been
    Trace(With<trace::Args>),
    /// Write everything that is kept into a file
    Backup(With<backup::Args>),
    /// Make the store what a backup holds
    Restore(With<restore::Args>),
    /// Take over what an older program left in the database
    Import(With<import::Args>),
    /// Count the messages that are too old to be kept, or delete them
    Retention(With<retention::Args>),
    /// Take everything from a SQLite file to MongoDB
    Migrate(With<migrate::Args>),
    /// Print the launcher's own numbers, for Prometheus
    Metrics(With<Nothing>),
    /// Print what a shell needs to complete this command line
    Completions(completions::Args),
    /// Print the manual page, or write those of all commands
    Man(man::Args),
    /// Talk with people on the same network, without a server
    Lan(With<lan::Args>),
    /// Chat from this terminal
    Chat(With<chat::Args>),
    /// Read, search and export what was said from this machine; works without a server
    History(With<history::Args>),
    /// Ends what is left of a run once its launcher is gone.
    #[command(hide = true)]
    Guard(guard::Args),
    /// Becomes a program that is tied to its launcher.
    #[command(hide = true)]
    Shim(shim::Args),
}

/// Does what the command line says, and returns how it ended. What went wrong has been said by then.
#[must_use]
pub fn main() -> Exit {
    let parsed = definition().try_get_matches();
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

/// The umask that this process was started with. Ours is stricter; the operator's own programs get this one.
static UMASK: OnceLock<u32> = OnceLock::new();

fn dispatch(cli: Cli) -> Result<Exit, Failure> {
    let place = cli.place;
    if let Some(flag) = misplaced(&cli.switches, cli.command.as_ref()) {
        let what = format!("{flag} does not go with this command; try 'launcher --help'");
        return Err(Failure::new(Exit::Usage, what));
    }
    let first = cli.switches;
    match cli.command {
        // What these make is for others to read or to run.
        Some(Command::Shim(_) | Command::Man(_) | Command::Completions(_)) => {}
        _ => _ = UMASK.set(kit::files::keep_private()),
    }
    match cli.command {
        None => up::up(&place, &first),
        Some(Command::Up(it)) => up::up(&place.then(it.place), &first.or(&it.args)),
        Some(Command::Check(it)) => check::check(&place.then(it.place), &first.without, &it.args),
        Some(Command::Doctor(it)) => doctor::doctor(&place.then(it.place), &it.args),
        Some(Command::Status(it)) => status::status(&place.then(it.place), &it.args),
        Some(Command::Top(it)) => top::top(&place.then(it.place), &it.args),
        Some(Command::Logs(it)) => logs::logs(&place.then(it.place), &it.args),
        Some(Command::Restart(it)) => control::restart(&place.then(it.place), &it.args),
        Some(Command::Stop(it)) => control::stop(&place.then(it.place), &it.args),
        Some(Command::Start(it)) => control::start(&place.then(it.place), &it.args),
        Some(Command::Down(it)) => down::down(&place.then(it.place)),
        Some(Command::Reload(it)) => reload::reload(&place.then(it.place), &it.args),
        Some(Command::Why(it)) => why::why(&place.then(it.place), &it.args),
        Some(Command::Crashes(it)) => crashes::crashes(&place.then(it.place), &it.args),
        Some(Command::Run(it)) => run::run(&place.then(it.place), &it.args),
        Some(Command::Users(it)) => users::users(&place.then(it.place), &it.args),
        Some(Command::Guard(args)) => guard::guard(&args),
        Some(Command::Shim(args)) => shim::shim(&args),
        Some(Command::Probe(it)) => probe::probe(&place.then(it.place), &it.args),
        Some(Command::Trace(it)) => trace::trace(&place.then(it.place), &it.args),
        Some(Command::Backup(it)) => backup::backup(&place.then(it.place), &it.args),
        Some(Command::Restore(it)) => restore::restore(&place.then(it.place), &it.args),
        Some(Command::Import(it)) => import::import(&place.then(it.place), &it.args),
        Some(Command::Retention(it)) => retention::retention(&place.then(it.place), &it.args),
        Some(Command::History(it)) => history::history(&place.then(it.place), it.args),
        Some(Command::Migrate(it)) => migrate::migrate(&place.then(it.place), &it.args),
        Some(Command::Metrics(it)) => metrics::metrics(&place.then(it.place)),
        Some(Command::Completions(it)) => completions::completions(definition(), &it),
        Some(Command::Man(it)) => man::man(definition(), &it),
        Some(Command::Lan(it)) => lan::lan(&place.then(it.place), &it.args),
        Some(Command::Chat(it)) => chat::chat(&place.then(it.place), it.args),
    }
}

/// The whole command line.
fn definition() -> clap::Command {
    Cli::command().after_help(after_help())
}

/// The first flag before the command that the command has no use for.
fn misplaced(switches: &Switches, command: Option<&Command>) -> Option<&'static str> {
    let detach = switches.detach.then_some("--detach");
    match command {
        None | Some(Command::Up(_)) => None,
        Some(Command::Check(_)) => detach,
        Some(_) => switches.without.any().or(detach),
    }
}

/// Examples, and the exit codes from their one table.
fn after_help() -> String {
    use std::fmt::Write;
    let mut text = String::from(
        "Examples:
  launcher                                          start everything; ctrl-C stops it
  launcher --no-openai --detach                     start without the bot, in the background
  launcher --set chat-server.listen=0.0.0.0:5000    let other machines in
  launcher --lan                                    talk with machines on this network, too
  launcher check                                    is the configuration right, are the ports free?
  launcher logs chat-server -f                      follow one component's log
  launcher chat --name alice                        chat from here

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
