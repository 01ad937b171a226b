//! The configuration: located, read in layers, validated as a whole.
//!
//! The life of a setting: a layer contains it as an assignment with its [`Source`]; `assignment` looks up its key in `schema` and validates
//! the value; `layers` merges default, file, `.env`, environment and flags, of which later ones override earlier ones; `rules` validates
//! the whole. All mistakes are collected and reported together.

mod assignment;
mod attributes;
mod components;
mod env_file;
mod environment;
mod expand;
mod explained;
pub(crate) mod exposure;
mod file;
mod flag;
mod layers;
mod load;
mod misfit;
mod mistake;
mod nearest;
mod needs;
mod place;
mod replicas;
mod rules;
mod schema;
mod secrecy;
mod settings;
mod source;
mod text;
pub mod watch;

pub use attributes::{LimitsConfig, Size, Umask};
pub use components::{ComponentConfig, OnFailure, ProbeConfig};
pub use env_file::EnvFiles;
pub(crate) use environment::is_settings_variable;
pub use environment::{Environment, OPENAI_API_KEY};
pub(crate) use explained::{Explained, explained, nearest_key};
pub use layers::Origins;
pub use load::{Loaded, Request, directories, load};
pub use mistake::{Mistake, Mistakes};
pub use place::Directories;
pub(crate) use place::state_directory;
pub(crate) use rules::split_url;
pub(crate) use secrecy::is_secret;
pub use settings::{LauncherConfig, LogsConfig, Settings};
pub use source::Source;

/// The default file, with an explanation of every key.
pub const DEFAULT_FILE: &str = include_str!("../../../config/launcher.toml");

#[cfg(test)]
mod tests;
