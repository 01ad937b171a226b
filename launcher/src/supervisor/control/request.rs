//! What is asked, and what is answered.

use serde::{Deserialize, Serialize};

use crate::supervisor::status::Snapshot;

/// The longest request, in bytes. Requests are small; this only keeps a confused client from filling our memory.
pub const MAX_REQUEST: usize = 64 * 1024;

/// What can be asked of a running launcher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "request")]
pub enum Request {
    /// How is everything?
    Status,
    /// Stop this component if it runs, and start it.
    Restart {
        /// Its name, or one that stands for several.
        component: String,
    },
    /// Stop this component and leave it stopped.
    Stop {
        /// Its name, or one that stands for several.
        component: String,
    },
    /// Start this component; forget its earlier crashes.
    Start {
        /// Its name, or one that stands for several.
        component: String,
    },
    /// Stop everything and end.
    Down,
    /// Read the configuration again and put it in force.
    Reload {
        /// Only say what that would do.
        #[serde(default)]
        plan_only: bool,
        /// The operator agrees to what needs their consent.
        #[serde(default)]
        yes: bool,
    },
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "response")]
pub enum Response {
    /// To `status`.
    Status {
        /// How everything is.
        snapshot: Snapshot,
    },
    /// It is under way; `status` shows how it goes.
    Accepted,
    /// To `reload`.
    Reload {
        /// What it does.
        summary: ReloadSummary,
    },
    /// It cannot be done.
    Refused {
        /// Why.
        reason: String,
    },
}

/// What a new plan does to the components, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadSummary {
    /// Left as they are.
    pub kept: Vec<String>,
    /// Left running, with another policy or other needs from now on.
    #[serde(default)]
    pub changed: Vec<String>,
    /// Restarted, because their configuration differs.
    pub restarted: Vec<String>,
    /// New.
    pub started: Vec<String>,
    /// No longer wanted.
    pub stopped: Vec<String>,
    /// The settings that differ.
    #[serde(default)]
    pub settings: Vec<String>,
    /// Those of them that need the operator's consent.
    #[serde(default)]
    pub consent: Vec<String>,
}

/// The socket's name in [`run_dir`](crate::supervisor::control::run_dir).
pub(crate) const SOCKET: &str = "control.sock";
