//! The type of a catalog entry.

use std::net::SocketAddr;

use kit::{Context, Failure, Running, Secret};

use crate::config::Settings;

/// An entry of the catalog.
#[derive(Debug)]
pub struct Component {
    /// The name of its section, process and log.
    pub name: &'static str,
    /// Its purpose in a few words.
    pub purpose: &'static str,
    /// The runtime it needs.
    pub runtime: Runtime,
    /// The components that must be ready before it starts.
    pub(super) needs: &'static [&'static str],
    /// The sections and keys that it receives. It is restarted if one of these changes, and only then.
    pub(super) settings: &'static [&'static str],
    /// The keys and values of its addresses.
    pub(super) listeners: fn(&Settings) -> Vec<(&'static str, SocketAddr)>,
    /// Its address for people.
    pub(super) address: fn(&Settings) -> String,
    /// Why it is disabled, if it is.
    pub(super) disabled_reason: fn(&Settings, has_key: bool) -> Option<String>,
    /// The flag that disables it.
    pub(super) flag: Option<&'static str>,
    /// How an operator uses it: a word, and what to type or open.
    pub(super) usage_hint: fn(&Settings) -> Option<(&'static str, String)>,
    /// Whether it receives the language model's key.
    pub(super) needs_api_key: bool,
    /// Its additional environment variables.
    pub(super) env: &'static [(&'static str, &'static str)],
    /// Its liveness probe by message, if any.
    pub(super) message: Option<MessageProbe>,
    /// Runs it until its context is cancelled.
    pub(super) run: fn(Settings, Option<Secret>, Context) -> Result<Running, Failure>,
}

/// The runtime of a component's tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// As many threads as there are processors; for components with many busy clients.
    Threads,
    /// One thread; for components that mostly wait.
    OneThread,
}

/// A liveness probe by message.
#[derive(Debug, Clone, Copy)]
pub(super) enum MessageProbe {
    /// A message is sent through the chat server to itself.
    ThroughChat,
    /// A message is stored by the message API.
    IntoStore,
}

impl Component {
    /// Its addresses, each with its full key; none if another program replaces it.
    #[must_use]
    pub fn listeners(&self, settings: &Settings) -> Vec<(String, SocketAddr)> {
        let own = (self.listeners)(settings).into_iter();
        own.map(|(key, address)| (format!("{}.{key}", self.name), address)).collect()
    }

    /// Its address for people.
    #[must_use]
    pub fn address(&self, settings: &Settings) -> String {
        (self.address)(settings)
    }

    /// Starts it in the calling runtime.
    ///
    /// # Errors
    /// If a setting that only this component understands is invalid, or something it requires is missing.
    pub fn run(&self, settings: Settings, key: Option<Secret>, context: Context) -> Result<Running, Failure> {
        (self.run)(settings, key, context)
    }
}
