//! A secret in a file of the data directory that only its owner may read.

use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use kit::Secret;

/// A token is 64 digits; more is not read.
const MAX_BYTES: u64 = 1024;

/// Where a token is kept.
#[derive(Debug, Clone)]
pub(crate) struct TokenFile(PathBuf);

impl TokenFile {
    /// The file with the service token, by which our own programs authenticate to the servers.
    pub(crate) fn of_services(data: &Path) -> Self {
        Self::new(data, "service.token")
    }

    /// The file of this name in a data directory.
    pub(crate) fn new(data: &Path, name: &str) -> Self {
        Self(data.join(name))
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Makes a fresh token. The file is replaced as a whole, so that nobody reads half a token.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn fresh(&self) -> io::Result<Secret> {
        let token = Secret::random()?;
        kit::durable::replace(&self.0, 0o600, token.expose().as_bytes())?;
        Ok(token)
    }

    /// The token in it, or a new one where there is none.
    ///
    /// # Errors
    /// When it cannot be read, or written, or others can read it.
    pub(crate) fn shared(&self) -> io::Result<Secret> {
        match self.read() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.fresh(),
            read => read,
        }
    }

    /// The token in it.
    ///
    /// # Errors
    /// When there is none, it cannot be read, or others can read it.
    pub(crate) fn read(&self) -> io::Result<Secret> {
        let file = std::fs::File::open(&self.0)?;
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            let what = "other users can read it; delete it, and a new one is created";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
        }
        let mut text = String::new();
        file.take(MAX_BYTES).read_to_string(&mut text)?;
        Ok(Secret::new(text.trim().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_shared_by_all_on_a_data_directory_and_by_nobody_else() {
        let data = tempfile::tempdir().unwrap();
        let file = TokenFile::new(data.path(), "some.token");
        let first = file.shared().unwrap();
        assert_eq!(file.shared().unwrap(), first);
        let second = file.fresh().unwrap();
        assert_ne!(second, first);
        assert_eq!(file.shared().unwrap(), second);
        assert_eq!(std::fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(file.shared().is_err());
    }
}
