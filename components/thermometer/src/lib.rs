//! thermometer: a service, which is a user like any other, that sends the temperature on request and to subscribers.
//!
//! `command` has the commands and texts, [`sensor`] the source of the temperature, `subscribers` the subscriptions, and `thermometer` runs
//! the service.

pub mod config;
pub mod sensor;

mod command;
mod reading;
mod subscribers;
mod thermometer;

pub use config::{Config, Upstream};

/// Runs until `context.shutdown`. Ready once online.
///
/// # Errors
/// When the configuration is invalid, or the chat server rejects the service.
#[must_use]
pub fn run(config: Config, upstream: Upstream, context: kit::Context) -> kit::Running {
    let sensor = Box::new(sensor::Simulated::default());
    Box::pin(async move { thermometer::serve(config.check()?, upstream, sensor, context).await })
}
