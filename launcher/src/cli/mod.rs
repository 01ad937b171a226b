//! The command line, one file per command.

mod accounts;
mod api;
mod ask;
mod backup;
mod chat;
mod check;
mod code;
mod completions;
mod component_name;
mod console;
mod control;
mod crashes;
mod demo;
mod detach;
mod doctor;
mod down;
mod examples;
mod files;
mod foreground;
mod guard;
mod help;
mod history;
mod identity;
mod import;
mod lan;
mod launcher_log;
mod logs;
mod man;
mod metrics;
mod migrate;
mod options;
mod output;
mod overview;
mod own_services;
mod planner;
mod probe;
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
mod tls;
mod token;
mod top;
mod tour;
mod trace;
mod umask;
mod up;
mod users;
mod verify_logs;
mod waiting;
mod watch;
mod web_console;
mod why;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use kit::{Exit, Failure};

pub use code::Code;
use options::{Nothing, Switches, Where, With};

/// The number, and what `build.rs` knows of the commit.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), env!("P2P_CHAT_REVISION"));

/// Run a self-hosted chat and keep it running.
#[derive(Debug, Parser)]
#[command(name = "launcher", version = VERSION, max_term_width = 100, subcommand_help_heading = "Commands")]
#[command(disable_help_subcommand = true)]
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
    /// Start everything and keep it running until ctrl-C (the default command)
    Up(With<Switches>),
    /// Check the configuration, the ports and MongoDB without starting anything
    Check(With<check::Args>),
    /// Diagnose this machine: clock, disk, limits, ports, store, keys
    Doctor(With<doctor::Args>),
    /// Show the state of all components
    Status(With<status::Args>),
    /// Watch the components and their logs in full screen
    Top(With<top::Args>),
    /// Show the components' logs
    Logs(With<logs::Args>),
    /// Restart components
    Restart(With<control::Args>),
    /// Stop components and keep them stopped
    Stop(With<control::Args>),
    /// Start components that were stopped or have failed
    Start(With<control::Args>),
    /// Stop the launcher and all components
    Down(With<Nothing>),
    /// Apply the changed configuration
    Reload(With<reload::Args>),
    /// Explain a component's state
    Why(With<why::Args>),
    /// List crash reports, or show one
    Crashes(With<crashes::Args>),
    /// Run one component in the foreground, unsupervised
    Run(With<run::Args>),
    /// List all users who have ever logged in
    Users(With<users::Args>),
    /// Protect names: add accounts, issue and revoke their tokens
    Accounts(accounts::Args),
    /// Test message delivery: send one through the chat server and wait for it
    Probe(With<probe::Args>),
    /// Trace a message from acceptance to delivery
    Trace(With<trace::Args>),
    /// Back up all messages to a file
    Backup(With<backup::Args>),
    /// Replace all messages with those of a backup
    Restore(With<restore::Args>),
    /// Import messages from an older program
    Import(With<import::Args>),
    /// Count expired messages, or delete them
    Retention(With<retention::Args>),
    /// Copy all messages from a SQLite file to MongoDB
    Migrate(With<migrate::Args>),
    /// Print the launcher's metrics (Prometheus format)
    Metrics(With<Nothing>),
    /// Print a link that opens the launcher's page in a browser
    Console(With<web_console::Args>),
    /// Make a certificate for the ports with TLS, or show the one in use
    Tls(tls::Args),
    /// Print a shell completion script
    Completions(completions::Args),
    /// Print the names of all components and groups, for shells.
    #[command(hide = true)]
    Names(With<Nothing>),
    /// Print the manual page, or write the pages of all commands
    Man(man::Args),
    /// Chat with people on the local network, without a server
    Lan(With<lan::Args>),
    /// Chat in this terminal
    Chat(With<chat::Args>),
    /// Show, search and export this machine's message history
    History(With<history::Args>),
    /// Show a throw-away chat with people in it; everything is deleted at the end
    Demo(demo::Args),
    /// Print the first five things to try
    Tour(With<Nothing>),
    /// Print a command's help, or what a configuration key means
    Help(help::Args),
    /// Chats in a demonstration.
    #[command(hide = true)]
    People(demo::people::Args),
    /// Ends what is left of a run once its launcher is gone.
    #[command(hide = true)]
    Guard(guard::Args),
    /// Becomes a program that is tied to its launcher.
    #[command(hide = true)]
    Shim(shim::Args),
}

/// Runs the command line and returns the exit code. Errors have been printed by then.
#[must_use]
pub fn main() -> Code {
    if let Some(args) = shim::only(std::env::args_os()) {
        return shim::shim(&args).map_or_else(|failure| refused(&failure), Code::from);
    }
    let parsed = examples::lay_out(definition()).try_get_matches();
    match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => {
            // The supervisor continues although nobody reads what it prints.
            let supervises = matches!(cli.command, None | Some(Command::Up(_)));
            match (dispatch(cli), output::lost().filter(|_| !supervises)) {
                (Ok(Code::Own(Exit::Fine)), Some(error)) => {
                    output::error(&format!("cannot write the output: {error}"));
                    Exit::Failure.into()
                }
                (Ok(exit), _) => exit,
                (Err(failure), _) => refused(&failure),
            }
        }
        Err(error) => {
            let asked_for = !error.use_stderr();
            // A closed pipe (`launcher --help | head`) is no error.
            let _ = error.print();
            if asked_for { Exit::Fine.into() } else { Exit::Usage.into() }
        }
    }
}

fn refused(failure: &Failure) -> Code {
    output::error(&failure.to_string());
    failure.exit().into()
}

fn dispatch(cli: Cli) -> Result<Code, Failure> {
    let place = cli.place;
    if let Some(flag) = misplaced(&cli.switches, cli.command.as_ref()) {
        let what = format!("{flag} cannot be used with this command; see 'launcher --help'");
        return Err(Failure::new(Exit::Usage, what));
    }
    let first = cli.switches;
    match cli.command {
        // The files that these create are for other users, too.
        Some(Command::Shim(_) | Command::Man(_) | Command::Completions(_)) => {}
        _ => _ = umask::UMASK.set(kit::files::set_private_umask()),
    }
    let exit = match cli.command {
        None => return up::up(place, first, With::default()),
        Some(Command::Up(it)) => return up::up(place, first, it),
        Some(Command::Demo(args)) => return demo::demo(&args),
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
        Some(Command::Accounts(it)) => accounts::accounts(place, it),
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
        Some(Command::Console(it)) => web_console::console(&place.then(it.place), &it.args),
        Some(Command::Tls(it)) => tls::tls(place, it),
        Some(Command::Completions(it)) => completions::completions(definition(), &it),
        Some(Command::Names(it)) => completions::names(&place.then(it.place)),
        Some(Command::Man(it)) => man::man(definition(), &it),
        Some(Command::Lan(it)) => lan::lan(place.then(it.place), it.args),
        Some(Command::Chat(it)) => chat::chat(&place.then(it.place), it.args),
        Some(Command::Tour(it)) => tour::tour(&place.then(it.place)),
        Some(Command::Help(args)) => help::help(examples::lay_out(definition()), &args),
        Some(Command::People(args)) => demo::people::people(&args),
    };
    exit.map(Code::Own)
}

/// The definition of the whole command line.
fn definition() -> clap::Command {
    Cli::command().after_help(after_help())
}

/// The first option before the command that the command does not support.
fn misplaced(switches: &Switches, command: Option<&Command>) -> Option<&'static str> {
    let of_up = switches.of_up();
    match command {
        None | Some(Command::Up(_)) => None,
        Some(Command::Check(_)) => of_up,
        Some(_) => switches.without.any().or(of_up),
    }
}

/// The examples, and the table of exit codes.
fn after_help() -> String {
    use std::fmt::Write;
    let mut text = String::from(
        "Examples:
  launcher                                          start everything; ctrl-C stops it
  launcher --no-openai --detach                     start without the bot, in the background
  launcher tls self-signed                          make a certificate, for connections from other machines
  launcher --lan                                    also chat with machines on the local network
  launcher demo                                     look at a throw-away chat with people in it
  launcher check                                    check the configuration and the ports
  launcher logs chat-server -f                      follow one component's log
  launcher chat --name alice                        chat in this terminal

Packages install this program also as 'p2p-chat'; both names do the same.

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
