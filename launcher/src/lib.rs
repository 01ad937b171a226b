//! The launcher: starts the whole chat with one command, keeps it running, and answers the operator.
//!
//! * [`cli`] is the command line, one file per command.
//! * [`config`] locates, merges and validates the settings; [`catalog`] makes a plan of them, and is the only place that names components.
//! * [`preflight`] checks ports, directories and MongoDB before anything starts.
//! * `backup` takes a backup of the store of the running chat.
//! * `log_reader` reads the components' logs.
//! * [`doctor`] checks whether this machine can run us.
//! * [`console`] is control over HTTP, with a page for it.
//! * [`metrics`] are the launcher's metrics for Prometheus.
//! * [`supervisor`] runs the plan, and knows nothing of chat; [`recorder`] records what happens to it, and [`alerts`] notifies programs and
//!   webhooks.

pub mod alerts;
mod backup;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod console;
pub mod doctor;
mod explanation;
mod log_reader;
pub mod metrics;
pub mod preflight;
pub mod recorder;
pub use supervisor;
mod token_file;
