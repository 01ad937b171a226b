//! The configuration as a tree, whose sections are the types of the components.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use kit::Secret;
use serde::{Deserialize, Serialize};

use super::components::ComponentConfig;
use crate::supervisor::{ConsoleAddress, LogFormat};

/// All settings. Missing sections have their defaults.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// The launcher itself.
    pub launcher: LauncherConfig,
    /// The format and limits of logs.
    pub logs: LogsConfig,
    /// The certificate of all servers.
    pub tls: kit::tls::Config,
    /// The location and durability of messages.
    pub store: message_api::StoreConfig,
    /// The message API.
    pub message_api: message_api::Config,
    /// The chat server.
    pub chat_server: chat_server::Config,
    /// The page and its WebSocket.
    pub web_adapter: web_adapter::Config,
    /// The thermometer.
    pub thermometer: thermometer::Config,
    /// The bot.
    pub openai_bot: openai_bot::Config,
    /// The peer on the local network.
    pub lan_peer: lan_peer::Config,
    /// The supervision of components, and other programs, by name.
    pub components: BTreeMap<String, ComponentConfig>,
    /// Programs that replace a component: `command` in the component's section.
    pub commands: BTreeMap<String, Vec<String>>,
}

impl Settings {
    /// What a name stands for where components are named: the members of a group, or itself.
    pub(crate) fn members<'a>(&'a self, name: &'a String) -> &'a [String] {
        self.launcher.groups.get(name).map_or(std::slice::from_ref(name), Vec::as_slice)
    }
}

/// The section `[launcher]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct LauncherConfig {
    /// Whether to apply changes of the configuration file automatically.
    pub watch: bool,
    /// Time limit for a component to become ready.
    #[serde(with = "kit::duration")]
    pub ready_timeout: Duration,
    /// Time limit for a component to end before it is killed.
    #[serde(with = "kit::duration")]
    pub stop_grace: Duration,
    /// Address of the launcher's own metrics over HTTP.
    pub metrics_listen: Option<SocketAddr>,
    /// A program that is run with each event of the components, and its arguments.
    pub on_event: Vec<String>,
    /// A URL that each event is posted to. It may hold a secret.
    pub webhook: Option<Secret>,
    /// The bearer token of the webhook.
    pub webhook_token: Option<Secret>,
    /// Names that stand for several components.
    pub groups: BTreeMap<String, Vec<String>>,
    /// Where the console listens.
    pub console_listen: Option<ConsoleAddress>,
    /// Whether the console only shows, and changes nothing.
    pub console_read_only: bool,
}

impl Default for LauncherConfig {
    fn default() -> Self {
        Self {
            watch: true,
            ready_timeout: Duration::from_secs(30),
            stop_grace: Duration::from_secs(5),
            metrics_listen: None,
            on_event: Vec::new(),
            webhook: None,
            webhook_token: None,
            groups: BTreeMap::new(),
            console_listen: None,
            console_read_only: false,
        }
    }
}

/// The section `[logs]`: the format and limits of logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct LogsConfig {
    /// The format of the lines in the components' logs.
    pub format: LogFormat,
    /// Whether lines of standard error are marked.
    pub split_stderr: bool,
    /// The size in MiB at which a file is rotated.
    pub file_mib: u64,
    /// The number of rotated files kept per component.
    pub files: usize,
    /// The maximum total size of all log files in MiB.
    pub total_mib: u64,
}

impl Default for LogsConfig {
    fn default() -> Self {
        Self { format: LogFormat::Raw, split_stderr: false, file_mib: 10, files: 5, total_mib: 200 }
    }
}
