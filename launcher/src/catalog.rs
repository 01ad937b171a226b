//! The components there are: the only place that names them.
//!
//! Each entry says what a component needs, which settings it sees, where it listens, when it is left out and how it is run.
//! [`plan()`] makes of them, the operator's own programs and the settings what the supervisor is to do.

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
pub use component::{Component, Running, Runtime};
pub use effective::{EFFECTIVE_CONFIG, effective};
pub(crate) use groups::groups;
pub use plan::{launcher, log_policy, plan};
pub use process::Process;
pub use programs::surroundings;
pub use table::{component, components, listeners, names};
pub use used::{used_listeners, where_to_look};
