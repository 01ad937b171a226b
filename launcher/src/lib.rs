//! The launcher: brings the whole chat up with one command, keeps it up, and answers the operator.
//!
//! * [`cli`] is the command line, one file a command.
//! * [`config`] finds, layers and checks the settings; [`catalog`] makes a plan of them, and is the only place that names components.
//! * [`preflight`] looks at ports, directories and MongoDB before anything starts.
//! * [`accounts`] are the users and groups of this machine.
//! * [`doctor`] says whether the machine is fit to run us.
//! * [`metrics`] are the launcher's own numbers for Prometheus.
//! * [`supervisor`] runs the plan, and knows nothing of chat; [`recorder`] writes down what happens to it, and
//!   [`alerts`] tells programs and webhooks.

pub mod accounts;
pub mod alerts;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod doctor;
pub mod metrics;
pub mod preflight;
pub mod recorder;
pub mod supervisor;
