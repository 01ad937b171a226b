//! What the command line says.

use std::net::SocketAddr;
use std::path::PathBuf;

use kit::{Exit, Failure};

use crate::clean;

/// Who chats, and with which server. What is missing is asked for where somebody sits there.
#[derive(Debug, Clone)]
pub struct Options {
    /// `HOST:PORT` or `HOST` of the chat server.
    pub server: Option<String>,
    /// The user's name.
    pub name: Option<String>,
    /// The server where none is named: this machine's own.
    pub default_server: SocketAddr,
    /// How the chat is shown.
    pub mode: Mode,
    /// The directory of the history; without one nothing is kept.
    pub history: Option<PathBuf>,
    /// The colours of the whole screen.
    pub theme: Theme,
    /// Whether the mouse is used on the whole screen.
    pub mouse: bool,
    /// Whether the bell rings for what comes while nobody looks at it, on the whole screen.
    pub bell: bool,
}

/// The colours of the whole screen. `NO_COLOR` in the environment means [`Theme::Mono`], whatever is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Theme {
    /// The terminal's eight colours, for any background.
    #[default]
    Basic,
    /// Bright colours, for a dark background.
    Dark,
    /// Dark colours, for a light background.
    Light,
    /// None at all.
    Mono,
}

/// How a chat is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// As fits: the whole screen at a terminal, lines between pipes and at a terminal that can do no more.
    #[default]
    Auto,
    /// Line by line: for pipes, screen readers and terminals that can do no more.
    Plain,
    /// Read and write one JSON object per line.
    Json,
}

/// The command line names somebody who cannot be.
pub(crate) fn no_name(name: &str, error: &impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Usage, format!("invalid name '{}': {error}", clean::one_line(name)))
}
