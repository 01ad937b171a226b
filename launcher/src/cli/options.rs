//! The options that commands share.

use std::path::PathBuf;

use clap::Args;
use kit::Failure;
use tokio::runtime::Runtime;

use super::component_name::ComponentName;
use crate::config::{self, Directories, Environment, Loaded, Mistakes, Request};

/// Where the configuration, the data and the logs are.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Where {
    /// The configuration file [default: $P2P_CONFIG, config/launcher.toml, ~/.config/p2p-chat/launcher.toml]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The data directory; also identifies the running launcher
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    /// The log directory
    #[arg(long, value_name = "DIR")]
    pub(super) logs: Option<PathBuf>,
    /// Override a configuration key, such as chat-server.listen=127.0.0.1:15000
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
}

/// How `up` runs, and what it leaves out.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Switches {
    #[command(flatten)]
    pub(super) without: Without,
    /// Continue in the background once everything is ready
    #[arg(long)]
    pub(super) detach: bool,
    /// Print all components' log lines on standard output, too, each after the component's name; '--logs -' does the same
    #[arg(long)]
    pub(super) foreground_logs: bool,
    /// Stop everything when this component ends, and exit with its exit code
    #[arg(long, value_name = "COMPONENT", value_parser = ComponentName, hide_possible_values = true)]
    pub(super) exit_code_from: Option<String>,
    /// We are the background process of `--detach`.
    #[arg(long, hide = true)]
    pub(super) background: bool,
}

/// What is left out, and what is added.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Without {
    /// Do not serve the page
    #[arg(long)]
    no_web: bool,
    /// Do not run the thermometer
    #[arg(long)]
    no_thermometer: bool,
    /// Do not run the bot
    #[arg(long)]
    no_openai: bool,
    /// Also chat with machines on the local network, without a server
    #[arg(long)]
    lan: bool,
}

impl Switches {
    /// One of the set flags that only `up` supports, if any.
    pub(super) fn of_up(&self) -> Option<&'static str> {
        let exit_code = self.exit_code_from.as_ref().map(|_| "--exit-code-from");
        let foreground = self.foreground_logs.then_some("--foreground-logs");
        self.detach.then_some("--detach").or(foreground).or(exit_code)
    }

    /// These and those.
    pub(super) fn or(&self, other: &Self) -> Self {
        Self {
            without: self.without.or(&other.without),
            detach: self.detach || other.detach,
            foreground_logs: self.foreground_logs || other.foreground_logs,
            exit_code_from: other.exit_code_from.clone().or_else(|| self.exit_code_from.clone()),
            background: self.background || other.background,
        }
    }
}

impl Without {
    /// Combines the options before and after the command.
    pub(super) fn or(&self, other: &Self) -> Self {
        Self {
            no_web: self.no_web || other.no_web,
            no_thermometer: self.no_thermometer || other.no_thermometer,
            no_openai: self.no_openai || other.no_openai,
            lan: self.lan || other.lan,
        }
    }

    /// One of the flags that are set, if any.
    pub(super) fn any(&self) -> Option<&'static str> {
        self.flags().first().copied().or_else(|| self.lan.then_some("--lan"))
    }

    /// The settings of flags that add components.
    fn sets(&self) -> Option<String> {
        self.lan.then(|| "lan-peer.enabled=true".to_owned())
    }

    /// The flags that remove components.
    fn flags(&self) -> Vec<&'static str> {
        let flags = [
            ("--no-web", self.no_web),
            ("--no-thermometer", self.no_thermometer),
            ("--no-openai", self.no_openai),
        ];
        flags.into_iter().filter_map(|(flag, is_set)| is_set.then_some(flag)).collect()
    }
}

/// A command's own arguments, and the options that may be before the command as well as after it.
///
/// Not clap's global flags: of those the last place wins, so `--set A=1 up --set B=2` would set only B.
#[derive(Debug, Default, Args)]
pub(super) struct With<T: Args> {
    #[command(flatten)]
    pub(super) place: Where,
    #[command(flatten)]
    pub(super) args: T,
}

#[derive(Debug, Args)]
pub(super) struct Nothing {}

impl Where {
    /// Whether `--logs -` requests the logs on standard output; their directory is then the default one.
    pub(super) fn take_standard_output(&mut self) -> bool {
        self.logs.take_if(|logs| logs.as_os_str() == "-").is_some()
    }

    /// Combines the options before and after the command; the latter take precedence.
    pub(super) fn then(self, later: Self) -> Self {
        Self {
            config: later.config.or(self.config),
            data: later.data.or(self.data),
            logs: later.logs.or(self.logs),
            set: self.set.into_iter().chain(later.set).collect(),
        }
    }

    /// The request for loading the configuration.
    pub(super) fn request(&self, without: &Without) -> Request {
        Request {
            config: self.config.clone(),
            data: self.data.clone(),
            logs: self.logs.clone(),
            sets: self.set.iter().cloned().chain(without.sets()).collect(),
            without: without.flags(),
        }
    }

    /// Loads the configuration.
    pub(super) fn load(&self, without: &Without) -> Result<Loaded, Failure> {
        config::load(&self.request(without), &Environment::of_this_process()?).map_err(Mistakes::into_failure)
    }

    /// The directory of `launcher chat`'s history: the given one, or the user's state directory, independent of the working directory, so
    /// that each user has one history. `None` if the user has no home directory.
    pub(super) fn history(&self, named: Option<PathBuf>) -> Result<Option<PathBuf>, Failure> {
        let environment = Environment::of_this_process()?;
        Ok(match named {
            Some(named) => Some(environment.directory.join(named)),
            None => config::state_directory(&environment),
        })
    }

    /// The directories, even if the configuration is invalid.
    pub(super) fn directories(&self) -> Result<Directories, Failure> {
        config::directories(&self.request(&Without::default()), &Environment::of_this_process()?)
            .map_err(Mistakes::into_failure)
    }
}

/// A runtime for commands that only make requests.
pub(super) fn small_runtime() -> Result<Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
