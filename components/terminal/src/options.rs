//! The options from the command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use kit::{Exit, Failure, Secret};

use crate::clean;

/// The user, the server and the display. Missing values are asked for at a terminal.
#[derive(Debug, Clone)]
pub struct Options {
    /// `HOST:PORT` or `HOST` of the chat server.
    pub server: Option<String>,
    /// The user's name.
    pub name: Option<String>,
    /// A token of the name's account, if it is protected.
    pub token: Option<Secret>,
    /// The default server: this machine's own.
    pub default_server: SocketAddr,
    /// The file of known servers; without it the connection is not encrypted.
    pub tls: Option<PathBuf>,
    /// How the chat is shown.
    pub mode: Mode,
    /// The directory of the history; without it nothing is stored.
    pub history: Option<PathBuf>,
    /// The colours of the full screen.
    pub theme: Theme,
    /// Whether the full screen uses the mouse.
    pub mouse: bool,
    /// Whether the full screen rings the bell for messages that arrive without focus.
    pub bell: bool,
}

/// The colours of the full screen. `NO_COLOR` in the environment means [`Theme::Mono`], whatever is configured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Theme {
    /// The terminal's eight colours, for any background.
    #[default]
    Basic,
    /// Bright colours, for a dark background.
    Dark,
    /// Dark colours, for a light background.
    Light,
    /// No colours.
    Mono,
}

/// How a chat is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// Full screen at a terminal that supports it; otherwise lines.
    #[default]
    Auto,
    /// Line by line: for pipes, screen readers and simple terminals.
    Plain,
    /// Read and write one JSON object per line.
    Json,
}

/// The command line has an invalid name.
pub(crate) fn no_name(name: &str, error: &impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Usage, format!("invalid name '{}': {error}", clean::one_line(name)))
}
