//! The configuration as a tree: each section is the type of the component that it belongs to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use kit::Secret;
use serde::{Deserialize, Serialize};

use super::components::ComponentConfig;
use crate::supervisor::LogFormat;

/// Everything that can be set. Sections that are not there have their defaults.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// The launcher's own.
    pub launcher: LauncherConfig,
    /// How logs are written.
    pub logs: LogsConfig,
    /// Where messages are kept.
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
    /// How components are supervised, and the operator's own programs beside ours, by name.
    pub components: BTreeMap<String, ComponentConfig>,
    /// Programs that take a component's place: `command` in the component's section.
    pub commands: BTreeMap<String, Vec<String>>,
}

/// How the launcher runs things: `[launcher]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct LauncherConfig {
    /// Whether a change of the configuration file is put into force by itself.
    pub watch: bool,
    /// How long a component may take to be ready.
    #[serde(with = "kit::duration")]
    pub ready_timeout: Duration,
    /// How long a component may take to end before it is killed.
    #[serde(with = "kit::duration")]
    pub stop_grace: Duration,
    /// Where the launcher's own numbers are served over HTTP.
    pub metrics_listen: Option<SocketAddr>,
    /// A program that is run with each event of the components, and its arguments.
    pub on_event: Vec<String>,
    /// A URL that each event is posted to. It may hold a secret.
    pub webhook: Option<Secret>,
    /// The bearer token of the webhook.
    pub webhook_token: Option<Secret>,
    /// Names that stand for several components.
    pub groups: BTreeMap<String, Vec<String>>,
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
        }
    }
}

/// How logs are written, and how much of them is kept: `[logs]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct LogsConfig {
    /// The form of the lines in the components' logs.
    pub format: LogFormat,
    /// Whether lines of standard error are marked.
    pub split_stderr: bool,
    /// The size in MiB at which a file is put aside.
    pub file_mib: u64,
    /// How many files put aside are kept for each component.
    pub files: usize,
    /// How many MiB all log files together may take.
    pub total_mib: u64,
}

impl Default for LogsConfig {
    fn default() -> Self {
        Self { format: LogFormat::Raw, split_stderr: false, file_mib: 10, files: 5, total_mib: 200 }
    }
}
