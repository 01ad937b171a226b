//! thermometer: a service that is a user like any other, and tells the temperature to whoever asks or subscribes.
//!
//! `command` has the words, [`sensor`] the source of the temperature, `subscribers` who is told it, `thermometer` how all of it
//! works together.

pub mod config;
pub mod sensor;

mod command;
mod reading;
mod subscribers;
mod thermometer;

pub use config::{Config, Upstream};

/// Works until `context.shutdown`. It is ready when it is online.
///
/// # Errors
/// When the configuration is wrong, or the chat server will not have a service of this name.
pub async fn run(config: Config, upstream: Upstream, context: kit::Context) -> Result<(), kit::Failure> {
    let sensor = Box::new(sensor::Simulated::default());
    thermometer::serve(config.check()?, upstream, sensor, context).await
}
