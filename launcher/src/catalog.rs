//! The components there are: the only place that names them.
//!
//! Each entry says what a component needs, which settings it sees, where it listens, when it is left out and how it is run.
//! [`plan`] makes of them, the operator's own programs and the settings what the supervisor is to do.

mod effective;
mod entries;
mod message_probe;
mod plan;
mod programs;

use std::net::SocketAddr;
use std::pin::Pin;

use kit::{Context, Failure, Secret};
use protocol::UserName;

use crate::config::{Loaded, Settings};

use message_probe::MessageProbe;

pub use effective::{EFFECTIVE_CONFIG, effective};
pub(crate) use plan::is_secret;
pub use plan::{Process, launcher, log_policy, plan};

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
    needs: &'static [&'static str],
    /// The sections and keys that it sees. It is restarted when one of these changes, and only then.
    sees: &'static [&'static str],
    /// The keys of its addresses, and what they say.
    listeners: fn(&Settings) -> Vec<(&'static str, SocketAddr)>,
    /// Where people find it.
    address: fn(&Settings) -> String,
    /// Why it is left out, if it is.
    left_out: fn(&Settings, has_key: bool) -> Option<String>,
    /// The flag that leaves it out.
    flag: Option<&'static str>,
    /// How an operator uses it, as a word and what to type or open.
    look: fn(&Settings) -> Option<(&'static str, String)>,
    /// Whether it is given the key of the language model.
    wants_key: bool,
    /// What is set in its environment.
    env: &'static [(&'static str, &'static str)],
    /// The message that it is asked for, to see whether it serves.
    message: Option<MessageProbe>,
    /// Runs it until its context says stop.
    run: fn(Settings, Option<Secret>, Context) -> Result<Running, Failure>,
}

/// What a component's tasks run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// As many threads as there are processors; for those that many clients keep busy.
    Threads,
    /// One thread; for those that mostly wait.
    OneThread,
}

/// Things in the plan that are not components: dependencies, and ourselves.
const OTHERS: [&str; 3] = ["mongodb", "config", "launcher"];

/// The names of all components.
pub fn names() -> impl Iterator<Item = &'static str> {
    entries::COMPONENTS.iter().map(|component| component.name)
}

/// All components, in start order.
pub fn components() -> impl Iterator<Item = &'static Component> {
    entries::COMPONENTS.iter()
}

/// The component of a name.
#[must_use]
pub fn component(name: &str) -> Option<&'static Component> {
    components().find(|component| component.name == name)
}

/// Every address that we listen on, with its key.
#[must_use]
pub fn listeners(settings: &Settings) -> Vec<(String, SocketAddr)> {
    let components = components().flat_map(|component| component.listeners(settings));
    components.chain(own_listener(settings)).collect()
}

/// The launcher's own.
fn own_listener(settings: &Settings) -> Option<(String, SocketAddr)> {
    settings.launcher.metrics_listen.map(|address| ("launcher.metrics-listen".to_owned(), address))
}

/// The addresses that components look for each other at.
#[must_use]
pub fn sought_listeners(settings: &Settings) -> Vec<(String, SocketAddr)> {
    let is_needed = |name: &str| components().any(|component| component.needs.contains(&name));
    let needed = components().filter(|component| is_needed(component.name));
    let listeners = needed.flat_map(|component| component.listeners(settings));
    listeners.filter(|(key, _)| key.ends_with(".listen")).collect()
}

/// The addresses of what is really started: not of what is left out, nor of what a program of the operator's replaces.
#[must_use]
pub fn used_listeners(loaded: &Loaded) -> Vec<(String, SocketAddr)> {
    let ours = |component: &&Component| {
        !loaded.settings.commands.contains_key(component.name) && plan::left_out(component, loaded).is_none()
    };
    let components = components().filter(ours).flat_map(|component| component.listeners(&loaded.settings));
    components.chain(own_listener(&loaded.settings)).collect()
}

/// Where to look once everything runs: a word, and what to type or open.
#[must_use]
pub fn where_to_look(loaded: &Loaded) -> Vec<(&'static str, String)> {
    let runs = |component: &&Component| plan::left_out(component, loaded).is_none();
    components().filter(runs).filter_map(|component| (component.look)(&loaded.settings)).collect()
}

/// Where a client on this machine finds the chat.
#[must_use]
pub fn chat_address(settings: &Settings) -> SocketAddr {
    kit::listen::reachable(settings.chat_server.listen)
}

/// Where the message API is.
fn api(settings: &Settings) -> SocketAddr {
    kit::listen::reachable(settings.message_api.listen)
}

/// Whether a component is one that can be asked for a message.
#[must_use]
pub fn takes_message(name: &str) -> bool {
    component(name).is_some_and(|component| component.message.is_some())
}

/// Names that have a meaning in the plan already and are no component's.
#[must_use]
pub fn is_taken(name: &str) -> bool {
    OTHERS.contains(&name)
}

/// Whether a service may be online under this name.
///
/// # Errors
/// Says which rule the name breaks.
pub fn reserved_name(name: &str) -> Result<UserName, String> {
    UserName::parse(name).map_err(|error| error.to_string())
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
