//! Requests and responses of the control socket.

use serde::{Deserialize, Serialize};

use crate::status::Snapshot;

/// The maximum size of a request in bytes, so that a broken client cannot fill our memory.
pub const MAX_REQUEST: usize = 64 * 1024;

/// A request to a running launcher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "request")]
pub enum Request {
    /// Return the state of everything.
    Status,
    /// Stop this component if it is running, and start it.
    Restart {
        /// Its name, or one that stands for several.
        component: String,
    },
    /// Stop this component and keep it stopped.
    Stop {
        /// Its name, or one that stands for several.
        component: String,
    },
    /// Start this component, and reset its crash count.
    Start {
        /// Its name, or one that stands for several.
        component: String,
    },
    /// Stop everything and exit.
    Down,
    /// Read the configuration again and apply it.
    Reload {
        /// Only return what would change.
        #[serde(default)]
        plan_only: bool,
        /// The operator has confirmed changes that require it.
        #[serde(default)]
        yes: bool,
    },
}

/// The response to a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "response")]
pub enum Response {
    /// The response to `status`.
    Status {
        /// The state of everything.
        snapshot: Snapshot,
    },
    /// The request is being carried out; `status` shows the progress.
    Accepted,
    /// The response to `reload`.
    Reload {
        /// What it changes.
        summary: ReloadSummary,
    },
    /// The request was rejected.
    Refused {
        /// The reason.
        reason: String,
    },
}

/// The effect of a new plan on the components, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ReloadSummary {
    /// Unchanged.
    pub kept: Vec<String>,
    /// Still running, with a changed policy or changed needs.
    #[serde(default)]
    pub changed: Vec<String>,
    /// Restarted, because their configuration differs.
    pub restarted: Vec<String>,
    /// Added.
    pub started: Vec<String>,
    /// Removed.
    pub stopped: Vec<String>,
    /// The keys of settings that differ.
    #[serde(default)]
    pub settings: Vec<String>,
    /// Those of them that require the operator's confirmation.
    #[serde(default)]
    pub consent: Vec<String>,
}

/// The socket's name in [`run_dir`](crate::control::run_dir).
pub(crate) const SOCKET: &str = "control.sock";
