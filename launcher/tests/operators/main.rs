//! What operators configure for programs of their own, tried with a real launcher: events told to others, replicas and groups,
//! schedules, restarts when files change.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails, also in what sets it up")]

mod alerts;
mod replicas;
mod schedules;
#[path = "../support/mod.rs"]
mod support;
mod watch;

use support::Home;

/// A home whose launcher runs what this file configures, and only those built-in components that cannot be disabled.
fn home(config: &str) -> Home {
    let home = Home::new().argument("--no-web").argument("--no-thermometer");
    let file = home.dir.path().join("operators.toml");
    std::fs::write(&file, config).unwrap();
    home.variable("P2P_CONFIG", file.to_str().unwrap())
}
