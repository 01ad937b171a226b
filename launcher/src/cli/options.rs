//! The flags that commands share.

use std::path::PathBuf;

use clap::Args;
use kit::Failure;
use tokio::runtime::Runtime;

use crate::config::{self, Directories, Environment, Loaded, Mistakes, Request};

/// Where the configuration, the data and the logs are.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Where {
    /// The configuration file [default: $P2P_CONFIG, config/launcher.toml, ~/.config/p2p-chat/launcher.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The data directory; a running launcher is found by it
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    /// The directory of the logs
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) logs: Option<PathBuf>,
    /// Set a key of the configuration, such as chat-server.listen=127.0.0.1:15000
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
}

/// What `up` leaves out, and how it runs.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Switches {
    /// Do not serve the page
    #[arg(long)]
    no_web: bool,
    /// Do not run the thermometer
    #[arg(long)]
    no_thermometer: bool,
    /// Do not run the bot
    #[arg(long)]
    no_openai: bool,
    /// Go to the background once everything is ready
    #[arg(long)]
    pub(super) detach: bool,
    /// We are the background process of `--detach`.
    #[arg(long, hide = true)]
    pub(super) background: bool,
}

impl Switches {
    /// These and those.
    pub(super) fn or(&self, other: &Self) -> Self {
        Self {
            no_web: self.no_web || other.no_web,
            no_thermometer: self.no_thermometer || other.no_thermometer,
            no_openai: self.no_openai || other.no_openai,
            detach: self.detach || other.detach,
            background: self.background || other.background,
        }
    }

    /// The first flag that is set.
    pub(super) fn first(&self) -> Option<&'static str> {
        let detach = self.detach.then_some("--detach");
        self.without().first().copied().or(detach)
    }

    /// The flags that leave a component out.
    pub(super) fn without(&self) -> Vec<&'static str> {
        let flags = [
            ("--no-web", self.no_web),
            ("--no-thermometer", self.no_thermometer),
            ("--no-openai", self.no_openai),
        ];
        flags.into_iter().filter_map(|(flag, is_set)| is_set.then_some(flag)).collect()
    }
}

impl Where {
    /// What the configuration is asked for.
    pub(super) fn request(&self, switches: &Switches) -> Request {
        Request {
            config: self.config.clone(),
            data: self.data.clone(),
            logs: self.logs.clone(),
            sets: self.set.clone(),
            without: switches.without(),
        }
    }

    /// The configuration, with nothing left out.
    pub(super) fn load(&self) -> Result<Loaded, Failure> {
        config::load(&self.request(&Switches::default()), &Environment::of_this_process()?)
            .map_err(Mistakes::into_failure)
    }

    /// The directories, whatever the configuration is.
    pub(super) fn directories(&self) -> Result<Directories, Failure> {
        config::directories(&self.request(&Switches::default()), &Environment::of_this_process()?)
            .map_err(Mistakes::into_failure)
    }
}

/// A runtime for the commands that only ask something.
pub(super) fn small_runtime() -> Result<Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
