//! The file with the service token, by which components that are run separately authenticate.

use std::path::Path;

use kit::{Exit, Failure, Secret};

use crate::token_file::TokenFile;

/// Creates a new token, and stores it for components that are run separately.
pub(super) fn fresh(data: &Path) -> Result<Secret, Failure> {
    file(data).fresh().map_err(|error| cannot(data, &error))
}

/// The token of the launcher on this data directory, or a new one if there is none.
pub(super) fn shared(data: &Path) -> Result<Secret, Failure> {
    file(data).shared().map_err(|error| cannot(data, &error))
}

/// The token of the launcher running on this data directory.
pub(super) fn of_running(data: &Path) -> Result<Secret, Failure> {
    file(data).read().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            let what = format!("no launcher has run with {}; start one with 'launcher'", data.display());
            Failure::new(Exit::Unavailable, what)
        }
        _ => cannot(data, &error),
    })
}

fn file(data: &Path) -> TokenFile {
    TokenFile::of_services(data)
}

fn cannot(data: &Path, error: &std::io::Error) -> Failure {
    let what = format!("cannot use the service token {}: {error}", file(data).path().display());
    Failure::new(Exit::Failure, what)
}
