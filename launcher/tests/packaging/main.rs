//! What is distributed: the licences of others, the version, the packages.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod licences;
mod packages;
mod revision;

use std::path::{Path, PathBuf};

/// The project's directory.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
