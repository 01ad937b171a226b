//! What an entry of the catalog says.

use std::net::SocketAddr;
use std::pin::Pin;

use kit::{Context, Failure, Secret};

use crate::config::Settings;

/// A component at work.
pub type Running = Pin<Box<dyn Future<Output = Result<(), Failure>>>>;

/// One component.
#[derive(Debug)]
pub struct Component {
    /// Its name: of its section, its process and its log.
    pub name: &'static str,
    /// What it does, in a few words.
    pub purpose: &'static str,
    /// The runtime it works in.
    pub runtime: Runtime,
    /// What must be ready before it is started.
    pub(super) needs: &'static [&'static str],
    /// The sections and keys that it sees. It is restarted when one of these changes, and only then.
    pub(super) sees: &'static [&'static str],
    /// The keys of its addresses, and what they say.
    pub(super) listeners: fn(&Settings) -> Vec<(&'static str, SocketAddr)>,
    /// Where people find it.
    pub(super) address: fn(&Settings) -> String,
    /// Why it is left out, if it is.
    pub(super) left_out: fn(&Settings, has_key: bool) -> Option<String>,
    /// The flag that leaves it out.
    pub(super) flag: Option<&'static str>,
    /// How an operator uses it, as a word and what to type or open.
    pub(super) look: fn(&Settings) -> Option<(&'static str, String)>,
    /// Whether it is given the key of the language model.
    pub(super) wants_key: bool,
    /// What is set in its environment.
    pub(super) env: &'static [(&'static str, &'static str)],
    /// The message that it is asked for, to see whether it serves.
    pub(super) message: Option<MessageProbe>,
    /// Runs it until its context says stop.
    pub(super) run: fn(Settings, Option<Secret>, Context) -> Result<Running, Failure>,
}

/// What a component's tasks run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// As many threads as there are processors; for those that many clients keep busy.
    Threads,
    /// One thread; for those that mostly wait.
    OneThread,
}

/// Which message a component is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum MessageProbe {
    /// One that is sent through the chat server and comes back.
    ThroughChat,
    /// One that the message API stores.
    IntoStore,
}

impl Component {
    /// Its addresses, each with its full key; none when an external program takes its place.
    #[must_use]
    pub fn listeners(&self, settings: &Settings) -> Vec<(String, SocketAddr)> {
        let own = (self.listeners)(settings).into_iter();
        own.map(|(key, address)| (format!("{}.{key}", self.name), address)).collect()
    }

    /// Where people find it.
    #[must_use]
    pub fn address(&self, settings: &Settings) -> String {
        (self.address)(settings)
    }

    /// Begins to run it, in the runtime that calls this.
    ///
    /// # Errors
    /// When a setting that only this component understands is wrong, or something it cannot be without is missing.
    pub fn run(&self, settings: Settings, key: Option<Secret>, context: Context) -> Result<Running, Failure> {
        (self.run)(settings, key, context)
    }
}
