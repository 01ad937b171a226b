//! The configuration: found, read in layers, checked as a whole.
//!
//! The life of a setting: a layer gives it ([`Source`]) as an assignment; `assignment` finds its key in `schema` and checks
//! the value against the key's type; `layers` lays flag over environment over `.env` over file over default; `rules` looks at
//! the whole. Every mistake on the way is collected, and all are told at once.

mod assignment;
mod attributes;
mod components;
mod env_file;
mod environment;
mod expand;
mod file;
mod flag;
mod layers;
mod load;
mod misfit;
mod mistake;
mod nearest;
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
pub use layers::Origins;
pub use load::{Loaded, Request, directories, load};
pub use mistake::{Mistake, Mistakes};
pub use place::Directories;
pub(crate) use place::state_directory;
pub(crate) use rules::split_url;
pub(crate) use secrecy::is_secret;
pub use settings::{LauncherConfig, LogsConfig, Settings};
pub use source::Source;

/// The defaults as a file, every key explained.
pub const DEFAULT_FILE: &str = include_str!("../../../config/launcher.toml");

#[cfg(test)]
mod tests;
