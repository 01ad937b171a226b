//! What others are told: one event of one component.

use serde::Serialize;
use uuid::Uuid;

use crate::supervisor::events::{ProcessExit, State};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// Its process ended though nobody had asked for it, or could not be started; it is started again.
    Crashed,
    /// It is given up: it stays down until somebody starts it.
    Failed,
    /// It runs, and its readiness probe fails.
    Unhealthy,
    /// It is ready, or has finished, after one of the others.
    Recovered,
    /// It has done what it is for.
    Finished,
}

impl Kind {
    /// The word that the JSON form has, too.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Crashed => "crashed",
            Self::Failed => "failed",
            Self::Unhealthy => "unhealthy",
            Self::Recovered => "recovered",
            Self::Finished => "finished",
        }
    }
}

/// An event, as it is told.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Alert {
    pub(super) event: Kind,
    /// When, RFC 3339 with milliseconds, in UTC.
    pub(super) at: String,
    pub(super) component: String,
    /// Its state now.
    pub(super) state: State,
    /// Why, in words that fit after the component's name.
    pub(super) reason: String,
    pub(super) pid: Option<u32>,
    /// How its process ended, if it did.
    pub(super) exit: Option<ProcessExit>,
    /// How long that lived.
    pub(super) lived_ms: Option<u128>,
    /// The last lines that it wrote, oldest first, secrets masked.
    pub(super) last_lines: Vec<String>,
    /// This run of the launcher.
    pub(super) run: Uuid,
    /// The name of this machine.
    pub(super) host: String,
    /// How many alerts before this one were dropped because they could not be delivered in time.
    pub(super) missed: u64,
}

impl Alert {
    /// As one line of JSON.
    pub(super) fn line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).expect("an alert can be written as JSON");
        line.push(b'\n');
        line
    }
}
