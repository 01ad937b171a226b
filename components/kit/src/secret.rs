//! A text that must not be printed.

use std::fmt;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

/// Shortest secret in bytes. Shorter ones cannot be masked in logs, because they occur in ordinary words.
pub const SHORTEST: usize = 4;

/// A secret: prints as `***`, compares in constant time. Serialises in plain text, because children receive it in their environment.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// 256 random bits as 64 hexadecimal digits.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn random() -> std::io::Result<Self> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// The secret in plain text; the name is conspicuous on purpose, for reviews.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether a text equals this secret, in time that depends only on the text's length.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.0.as_bytes().ct_eq(text.as_bytes()).into()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.matches(&other.0)
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed_and_compares() {
        let secret = Secret::random().unwrap();
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
        assert!(secret.matches(secret.expose()));
        assert!(!secret.matches("other"));
        assert_ne!(secret, Secret::random().unwrap());
    }
}
