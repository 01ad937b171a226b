//! A certificate chain and its private key, from PEM files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};

use super::validity::Validity;

/// Longest file that is read. A chain has a few KiB.
const LONGEST: u64 = 1024 * 1024;

/// The files of a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The certificate chain.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// A certificate chain with the key of its first certificate.
#[derive(Debug, Clone)]
pub struct Pair {
    pub(super) key: Arc<CertifiedKey>,
    /// When the certificate is valid; unknown if its dates cannot be parsed.
    pub validity: Option<Validity>,
    /// SHA-256 of the certificate.
    pub fingerprint: [u8; 32],
}

/// A pair cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// A file cannot be read.
    #[error("cannot read {0}")]
    Read(PathBuf, #[source] std::io::Error),
    /// A file is far too long.
    #[error("{0} is longer than a PEM file can be")]
    TooLong(PathBuf),
    /// No certificate.
    #[error("{0} has no certificate in PEM (-----BEGIN CERTIFICATE-----)")]
    NoCertificate(PathBuf),
    /// No key.
    #[error("{0} has no private key in PEM that is not encrypted (-----BEGIN PRIVATE KEY-----)")]
    NoKey(PathBuf),
    /// The two do not belong together, or are of an unknown kind.
    #[error("the certificate {} cannot be used with the key {}: {reason}", .files.certificate.display(), .files.key.display())]
    Mismatch {
        /// Both files.
        files: Files,
        /// Why.
        reason: rustls::Error,
    },
}

/// Loads the pair.
///
/// # Errors
/// If a file cannot be read or has something else in it, or the two do not belong together.
pub fn load(files: &Files) -> Result<Pair, PairError> {
    parse(files, &read(&files.certificate)?, &read(&files.key)?)
}

pub(super) fn read(file: &Path) -> Result<Vec<u8>, PairError> {
    use std::io::Read;
    let failed = |error| PairError::Read(file.to_owned(), error);
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .and_then(|open| open.take(LONGEST + 1).read_to_end(&mut bytes))
        .map_err(failed)?;
    if bytes.len() as u64 > LONGEST { Err(PairError::TooLong(file.to_owned())) } else { Ok(bytes) }
}

/// Parses the content of both files.
pub(super) fn parse(files: &Files, certificate: &[u8], key: &[u8]) -> Result<Pair, PairError> {
    let chain: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_slice_iter(certificate).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    let chain = chain.ok_or_else(|| PairError::NoCertificate(files.certificate.clone()))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| PairError::NoKey(files.key.clone()))?;
    let validity = Validity::of(&chain[0]);
    let fingerprint = fingerprint(&chain[0]);
    let key = CertifiedKey::from_der(chain, key, &ring::default_provider())
        .map_err(|reason| PairError::Mismatch { files: files.clone(), reason })?;
    Ok(Pair { key: Arc::new(key), validity, fingerprint })
}

/// SHA-256 of a certificate.
#[must_use]
pub fn fingerprint(certificate: &[u8]) -> [u8; 32] {
    Sha256::digest(certificate).into()
}

/// A fingerprint as `openssl x509 -fingerprint -sha256` shows it: `AB:CD:…`.
#[must_use]
pub fn show(fingerprint: &[u8; 32]) -> String {
    fingerprint.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}
