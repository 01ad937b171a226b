//! A user's name, and its key.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use unicode_normalization::UnicodeNormalization;

use super::lookalike::skeleton_of;
use super::rules::{self, NameError};
use crate::limits::NAME_CHARS;
use crate::validated::{Parser, string_type};

/// The name under which the launcher sends itself messages, to test delivery. It needs the service token and is hidden from lists,
/// greetings and counts.
pub const PROBE: &str = "p2p-probe";

/// Most rounds of case folding. A text that still changes after them has no key.
const FOLDS: usize = 4;

/// A valid user name: 1 to [`NAME_CHARS`] letters, digits and their marks, `_`, `-` and `.`. Compared and hashed by its key.
#[derive(Clone)]
pub struct UserName {
    display: Arc<str>,
    key: Arc<str>,
}

impl UserName {
    /// Parses a name that is valid as a recipient. Surrounding white space is ignored.
    ///
    /// # Errors
    /// The rule that the text breaks. The length is checked before anything is allocated.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let name = Self::stored(text)?;
        name.check()?;
        Ok(name)
    }

    /// Accepts a name that was valid in any version: for stored data, and between our own processes.
    ///
    /// # Errors
    /// The rule that the text breaks. The length is checked before anything is allocated.
    pub fn stored(text: &str) -> Result<Self, NameError> {
        let text = text.trim();
        if Self::is_plain_key(text) {
            let display: Arc<str> = text.into();
            return Ok(Self { key: Arc::clone(&display), display });
        }
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.chars().nth(NAME_CHARS).is_some() {
            return Err(NameError::TooLong);
        }
        let display: Arc<str> =
            if text.is_ascii() { text.into() } else { text.nfkc().collect::<String>().into() };
        rules::alphabet(&display)?;
        let key = if is_folded(&display) { Arc::clone(&display) } else { key_of(&display)? };
        Ok(Self { display, key })
    }

    /// The name [`PROBE`].
    ///
    /// # Panics
    /// Never: the constant is a valid name.
    #[must_use]
    pub fn probe() -> Self {
        Self::stored(PROBE).expect("letters and a hyphen are a name")
    }

    /// Whether this is the name [`PROBE`].
    #[must_use]
    pub fn is_probe(&self) -> bool {
        &*self.key == PROBE
    }

    /// Checks whether this name is valid as a recipient; some names that earlier versions accepted are not.
    ///
    /// # Errors
    /// The rule that the name breaks.
    pub fn check(&self) -> Result<(), NameError> {
        rules::shape(&self.display)?;
        if Arc::ptr_eq(&self.display, &self.key) { Ok(()) } else { rules::shape(&self.key) }
    }

    /// Fast check whether a text is the key of a stored name. `false` is inconclusive; then use [`UserName::stored`].
    pub(crate) fn is_plain_key(text: &str) -> bool {
        (1..=NAME_CHARS).contains(&text.len())
            && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.'))
    }

    /// The name as its owner writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.display
    }

    /// The canonical form by which names are compared: names with equal keys belong to the same user.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The skeleton: names that look the same share it (UTS 39, section 4).
    #[must_use]
    pub fn skeleton(&self) -> Arc<str> {
        // These characters map to themselves; most names consist of them.
        let is_own = |b: u8| matches!(b, b'a'..=b'l' | b'n'..=b'z' | b'_' | b'-' | b'.' | b'2'..=b'9');
        // Computed from the name as written, because a capital `I` looks like an `l` while its key is `i`.
        if self.display.bytes().all(is_own) {
            return Arc::clone(&self.key);
        }
        skeleton_of(&self.display).into()
    }
}

/// Keys are used in place of names in paths and conversation ids, so a key must be a valid name and its own key.
fn key_of(name: &str) -> Result<Arc<str>, NameError> {
    let mut key = fold(name);
    for _ in 1..FOLDS {
        let again = fold(&key);
        if again == key {
            rules::alphabet(&key)?;
            return Ok(key.into());
        }
        key = again;
    }
    Err(NameError::Character(key.chars().next().expect("folding does not empty a name")))
}

fn is_folded(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase())
}

fn fold(name: &str) -> String {
    name.nfkc().collect::<String>().to_lowercase().nfkc().collect()
}

impl PartialEq for UserName {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for UserName {}

impl Hash for UserName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

/// Lets maps be searched by key.
impl Borrow<str> for UserName {
    fn borrow(&self) -> &str {
        &self.key
    }
}

impl Ord for UserName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

impl PartialOrd for UserName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl std::fmt::Debug for UserName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

string_type!(
    UserName,
    "UserName",
    "1 to 32 letters, digits and their marks, '_', '-' and '.', compared without regard to case",
    UserName::stored
);

/// For `#[serde(deserialize_with)]`: a name that is valid as a recipient.
pub(crate) fn checked<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<UserName, D::Error> {
    deserializer.deserialize_str(Parser(UserName::parse))
}
