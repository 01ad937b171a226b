//! The file with the service token, by which components that are run separately authenticate.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use kit::{Exit, Failure, Secret};

/// The file in the data directory; readable by its owner alone.
const FILE: &str = "service.token";
/// The maximum size read; a token has 64 digits.
const MAX_BYTES: u64 = 1024;

/// Creates a new token, and stores it for components that are run separately.
pub(super) fn fresh(data: &Path) -> Result<Secret, Failure> {
    let token = Secret::random()?;
    write(data, &token).map_err(|error| cannot(data, &error))?;
    Ok(token)
}

/// The token of the launcher on this data directory, or a new one if there is none.
pub(super) fn shared(data: &Path) -> Result<Secret, Failure> {
    match read(data) {
        Ok(token) => Ok(token),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => fresh(data),
        Err(error) => Err(cannot(data, &error)),
    }
}

/// The token of the launcher running on this data directory.
pub(super) fn of_running(data: &Path) -> Result<Secret, Failure> {
    read(data).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            let what = format!("no launcher has run with {}; start one with 'launcher'", data.display());
            Failure::new(Exit::Unavailable, what)
        }
        _ => cannot(data, &error),
    })
}

fn cannot(data: &Path, error: &std::io::Error) -> Failure {
    let what = format!("cannot use the service token {}: {error}", data.join(FILE).display());
    Failure::new(Exit::Failure, what)
}

/// Atomic, so that nobody reads a partial token.
fn write(data: &Path, token: &Secret) -> std::io::Result<()> {
    kit::durable::replace(&data.join(FILE), 0o600, token.expose().as_bytes())
}

fn read(data: &Path) -> std::io::Result<Secret> {
    let file = std::fs::File::open(data.join(FILE))?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        let what = "other users can read it; delete it, and a new one is created";
        return Err(std::io::Error::new(std::io::ErrorKind::PermissionDenied, what));
    }
    let mut text = String::new();
    file.take(MAX_BYTES).read_to_string(&mut text)?;
    Ok(Secret::new(text.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_shared_by_all_on_a_data_directory_and_by_nobody_else() {
        let data = tempfile::tempdir().unwrap();
        let first = shared(data.path()).unwrap();
        assert_eq!(shared(data.path()).unwrap(), first);
        let second = fresh(data.path()).unwrap();
        assert_ne!(second, first);
        assert_eq!(shared(data.path()).unwrap(), second);
        let file = data.path().join(FILE);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(shared(data.path()).is_err());
    }
}
