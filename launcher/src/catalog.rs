//! The catalog of components: the only place that names them.
//!
//! Each entry has a component's dependencies, settings, addresses, the condition under which it is disabled, and how it is run.
//! [`plan()`] makes the supervisor's plan from the entries, the configured programs and the settings.

mod addresses;
mod component;
mod effective;
mod entries;
mod groups;
mod message_probe;
mod plan;
mod process;
mod programs;
pub(crate) mod table;
mod used;

pub use addresses::chat_address;
pub use component::{Component, Runtime};
pub use effective::{EFFECTIVE_CONFIG, effective};
pub(crate) use groups::groups;
pub use plan::{launcher, log_policy, plan};
pub use process::Process;
pub use programs::surroundings;
pub use table::{component, components, listeners, names};
pub use used::{usage_hints, used_listeners};
