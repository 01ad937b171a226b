//! This node's identity: an Ed25519 key (RFC 8032), created at the first start and stored in a private file.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use kit::durable;
use protocol::lan::NodeId;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use rustix::process::geteuid;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::private;

/// Size limit of the key file; real ones are much shorter.
const MAX_KEY: u64 = 4096;

/// The key and the id derived from it.
pub(crate) struct Identity {
    /// The key as PKCS #8 (RFC 5958).
    pub(crate) pkcs8: Vec<u8>,
    /// Its public half.
    pub(crate) id: NodeId,
}

/// Why the identity could not be loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdentityError {
    /// The file cannot be read or written.
    #[error("the identity {path}: {source}")]
    File {
        /// The file's path.
        path: PathBuf,
        /// The error.
        source: std::io::Error,
    },
    /// Others can read the file.
    #[error(
        "others can read the identity {0}, or it is another user's; say: chown \"$USER\" {0}; chmod 600 {0}"
    )]
    Open(PathBuf),
    /// The file holds no key.
    #[error(
        "the identity {0} is not an Ed25519 key; restore it from a copy, or move it away to get a new identity"
    )]
    Corrupt(PathBuf),
}

impl Identity {
    /// Loads the key, or creates it.
    pub(crate) fn load(path: &Path) -> Result<Self, IdentityError> {
        let file = |source| IdentityError::File { path: path.to_owned(), source };
        private::refuse_foreign_link(path).map_err(file)?;
        let pkcs8 = match File::open(path) {
            Ok(mut opened) => {
                // Metadata of the open file, whatever the path names by now.
                let found = opened.metadata().map_err(file)?;
                if found.permissions().mode() & 0o077 != 0 || found.uid() != geteuid().as_raw() {
                    return Err(IdentityError::Open(path.to_owned()));
                }
                let mut bytes = Vec::new();
                opened.by_ref().take(MAX_KEY).read_to_end(&mut bytes).map_err(file)?;
                bytes
            }
            Err(error) if error.kind() == ErrorKind::NotFound => make(path).map_err(file)?,
            Err(error) => return Err(file(error)),
        };
        let key = Ed25519KeyPair::from_pkcs8(&pkcs8).map_err(|_| IdentityError::Corrupt(path.to_owned()))?;
        let public = key.public_key().as_ref().try_into().expect("an Ed25519 key has 32 bytes");
        Ok(Self { pkcs8, id: NodeId::from_bytes(public) })
    }
}

/// Writes a temporary file, syncs it, renames it, and syncs the directory: a crash leaves the complete key or none, and never removes a key
/// that others know.
fn make(path: &Path) -> std::io::Result<Vec<u8>> {
    let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
        .map_err(|_| std::io::Error::other("the system has no randomness"))?;
    durable::replace(path, private::MODE, key.as_ref())?;
    Ok(key.as_ref().to_vec())
}

/// The fingerprint that users compare: eight groups of five digits, 132 bits of SHA-256 over the key.
pub(crate) fn fingerprint(id: &NodeId) -> String {
    let digest =
        Sha256::new().chain_update(b"p2p-chat lan fingerprint 1").chain_update(id.as_bytes()).finalize();
    let (words, _) = digest.as_chunks::<4>();
    let groups = words.iter().map(|word| format!("{:05}", u32::from_be_bytes(*word) % 100_000));
    groups.collect::<Vec<_>>().join(" ")
}

const LINK: &str = "p2pchat://";
/// Digits of a fingerprint.
const DIGITS: usize = 40;

/// The content of the QR code.
pub(crate) fn link(id: &NodeId) -> String {
    format!("{LINK}{id}")
}

/// Why a proof does not match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unproved {
    /// Incomplete input, probably a typing error; with its number of digits.
    #[error("incomplete fingerprint: expected {DIGITS} digits, got {0}; nothing was compared")]
    Incomplete(usize),
    /// Another node's fingerprint.
    #[error("this is not their fingerprint: somebody else may be in between; do not trust this connection")]
    Another,
}

/// Checks a fingerprint or link against this node's id.
pub(crate) fn prove(id: &NodeId, proof: &str) -> Result<(), Unproved> {
    let proof = proof.trim();
    let told = proof.strip_prefix(LINK).unwrap_or(proof);
    let is_theirs = if let Ok(told) = told.parse::<NodeId>() {
        told.as_bytes().ct_eq(id.as_bytes())
    } else {
        let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
        let separators = |c: char| c.is_ascii_digit() || c.is_whitespace() || c == '-';
        let told = digits(proof);
        if told.len() != DIGITS || !proof.chars().all(separators) {
            return Err(Unproved::Incomplete(told.len()));
        }
        told.as_bytes().ct_eq(digits(&fingerprint(id)).as_bytes())
    };
    if bool::from(is_theirs) { Ok(()) } else { Err(Unproved::Another) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_stays_and_only_its_owner_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("identity.key");
        let first = Identity::load(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Identity::load(&path).unwrap().id, first.id);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Identity::load(&path), Err(IdentityError::Open(_))));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        for bad in [&b""[..], b"not a key", &first.pkcs8[..40]] {
            std::fs::write(&path, bad).unwrap();
            assert!(matches!(Identity::load(&path), Err(IdentityError::Corrupt(_))));
        }
    }

    #[test]
    fn digits_and_links_prove_one_key_only() {
        let (one, other) = (NodeId::from_bytes([1; 32]), NodeId::from_bytes([2; 32]));
        let digits = fingerprint(&one);
        assert_eq!(digits.len(), 47);
        for proof in [digits.clone(), digits.replace(' ', "-"), link(&one), one.to_string()] {
            assert_eq!(prove(&one, &proof), Ok(()), "{proof}");
            assert_eq!(prove(&other, &proof), Err(Unproved::Another), "{proof}");
        }
        let with_more = format!("x{digits}");
        for (proof, count) in
            [("", 0), ("   ", 0), (LINK, 1), ("1", 1), (&digits[..46], 39), (&with_more, 40)]
        {
            assert_eq!(prove(&one, proof), Err(Unproved::Incomplete(count)), "{proof}");
        }
    }
}
