//! The servers that a user of this machine has met, as `known_hosts` of ssh: a file with one line for each, `HOST:PORT FINGERPRINT`, or
//! `HOST:PORT authority` for one whose certificate an authority has signed.
//!
//! Bound: [`MOST`] servers. Overflow rule: the oldest line is removed.

use std::fs::OpenOptions;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::path::{Path, PathBuf};

/// More than anybody uses.
const MOST: usize = 1000;
/// Longest file that is read.
const LONGEST: u64 = 1024 * 1024;
const AUTHORITY: &str = "authority";

/// The file.
#[derive(Debug, Clone)]
pub struct KnownServers(PathBuf);

/// Why a server is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trust {
    Authority,
    /// SHA-256 of its certificate.
    Fingerprint(String),
}

impl KnownServers {
    /// The servers in this file, which need not exist.
    #[must_use]
    pub fn new(file: PathBuf) -> Self {
        Self(file)
    }

    pub(crate) fn file(&self) -> &Path {
        &self.0
    }

    pub(crate) fn find(&self, server: &str) -> Result<Option<Trust>> {
        Ok(self.lines()?.into_iter().rev().find(|(known, _)| known == server).map(|(_, trust)| trust))
    }

    /// Replaces what is known of a server. The file is replaced as a whole, so that it is never half written.
    pub(crate) fn remember(&self, server: &str, trust: &Trust) -> Result<()> {
        let mut lines = self.lines()?;
        if lines.iter().any(|(known, before)| known == server && before == trust) {
            return Ok(());
        }
        lines.retain(|(known, _)| known != server);
        lines.push((server.to_owned(), trust.clone()));
        let first = lines.len().saturating_sub(MOST);
        let text: String = lines[first..].iter().map(|(server, trust)| line(server, trust)).collect();
        self.write(&text).map_err(|error| self.failed("write", &error))
    }

    fn write(&self, text: &str) -> Result<()> {
        let directory = self.0.parent().unwrap_or(Path::new("."));
        kit::files::make_directory(directory)?;
        let new = self.0.with_extension(format!("new-{}", std::process::id()));
        let mut file = kit::files::open(&new, OpenOptions::new().write(true).create(true).truncate(true))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(new, &self.0)
    }

    /// Lines that cannot be parsed are left out.
    fn lines(&self) -> Result<Vec<(String, Trust)>> {
        let mut text = String::new();
        match std::fs::File::open(&self.0) {
            Ok(file) => {
                file.take(LONGEST).read_to_string(&mut text).map_err(|error| self.failed("read", &error))?
            }
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(self.failed("read", &error)),
        };
        let parsed = text.lines().filter_map(|line| {
            let (server, trust) = line.split_once(' ')?;
            let trust = match trust.trim() {
                AUTHORITY => Trust::Authority,
                fingerprint => Trust::Fingerprint(fingerprint.to_owned()),
            };
            Some((server.to_owned(), trust))
        });
        Ok(parsed.collect())
    }

    /// A file that cannot be used is an error: otherwise every server would be met for the first time.
    fn failed(&self, what: &str, error: &Error) -> Error {
        Error::new(
            error.kind(),
            format!("cannot {what} the list of known servers, {}: {error}", self.0.display()),
        )
    }
}

fn line(server: &str, trust: &Trust) -> String {
    match trust {
        Trust::Authority => format!("{server} {AUTHORITY}\n"),
        Trust::Fingerprint(fingerprint) => format!("{server} {fingerprint}\n"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn each_server_has_one_line_in_a_private_file() {
        let directory = tempfile::tempdir().unwrap();
        let known = KnownServers::new(directory.path().join("state/known-servers"));
        assert_eq!(known.find("a:1").unwrap(), None);
        let print = |text: &str| Trust::Fingerprint(text.to_owned());
        known.remember("a:1", &print("AA")).unwrap();
        known.remember("b:1", &Trust::Authority).unwrap();
        known.remember("a:1", &print("BB")).unwrap();
        assert_eq!(std::fs::read_to_string(known.file()).unwrap(), "b:1 authority\na:1 BB\n");
        assert_eq!(known.find("a:1").unwrap(), Some(print("BB")));
        let mode = std::fs::metadata(known.file()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_cannot_be_read_trusts_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("known-servers");
        std::fs::write(&file, [0xff]).unwrap();
        assert!(KnownServers::new(file).find("a:1").unwrap_err().to_string().contains("known-servers"));
    }
}
