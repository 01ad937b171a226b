//! User names: what may be one, and when two of them are the same person.
//!
//! A name is shown as its owner wrote it (normalised to NFKC) and compared by its *key*: NFKC, lower case, NFKC again,
//! the essence of the `UsernameCaseMapped` profile of RFC 8265. Look-alikes of different scripts are not told apart here.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use unicode_normalization::UnicodeNormalization;

use crate::limits::NAME_CHARS;
use crate::validated::string_type;

/// A valid user name: 1 to [`NAME_CHARS`] letters, digits, `_`, `-` and `.`. Equality, order and hash are those of its key.
#[derive(Clone)]
pub struct UserName {
    display: Arc<str>,
    key: Arc<str>,
}

/// Why a text is not a user name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing but white space.
    #[error("a name cannot be empty")]
    Empty,
    /// More than [`NAME_CHARS`] characters.
    #[error("a name has at most {NAME_CHARS} characters")]
    TooLong,
    /// A character that no name may hold.
    #[error("a name cannot hold {}; use letters, digits, '_', '-' and '.'", describe(*.0))]
    Character(char),
}

fn describe(c: char) -> String {
    match c {
        ' ' => "a space".to_owned(),
        c if c.is_control() || !c.is_ascii() => format!("U+{:04X}", u32::from(c)),
        c => format!("'{c}'"),
    }
}

impl UserName {
    /// Reads a name; white space around it does not count.
    ///
    /// # Errors
    /// Says which rule the text breaks. The length is checked before anything is allocated.
    pub fn parse(text: &str) -> Result<Self, NameError> {
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
        check(&display)?;
        let key = if is_folded(&display) { Arc::clone(&display) } else { key_of(&display)? };
        Ok(Self { display, key })
    }

    /// Whether a text is certainly the key of a name, as most keys are. Of others only [`UserName::parse`] can tell.
    pub(crate) fn is_plain_key(text: &str) -> bool {
        (1..=NAME_CHARS).contains(&text.len())
            && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.'))
    }

    /// The name as its owner writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.display
    }

    /// What two names have in common when they are the same person.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

fn check(name: &str) -> Result<(), NameError> {
    // NFKC can expand one character into many, so the bound is checked again here.
    if name.chars().nth(NAME_CHARS).is_some() {
        return Err(NameError::TooLong);
    }
    match name.chars().find(|c| !c.is_alphanumeric() && !matches!(c, '_' | '-' | '.')) {
        Some(c) => Err(NameError::Character(c)),
        None => Ok(()),
    }
}

/// Folding can break a name: `İ` becomes an `i` and a combining dot, which no name may hold. The key stands where a name does, in
/// paths and in keys of conversations, so it must be one and its own key.
fn key_of(name: &str) -> Result<Arc<str>, NameError> {
    let key = fold(name);
    check(&key)?;
    if fold(&key) == key {
        return Ok(key.into());
    }
    Err(NameError::Character(key.chars().next().expect("a checked name is not empty")))
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
    "1 to 32 letters, digits, '_', '-' and '.', compared without regard to case"
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_compared_without_regard_to_case_and_shown_as_written() {
        let joe = UserName::parse(" Joe ").unwrap();
        assert_eq!(joe, UserName::parse("joe").unwrap());
        assert_eq!(joe.as_str(), "Joe");
        assert_eq!(UserName::parse("ÅSA").unwrap(), UserName::parse("a\u{30a}sa").unwrap());
    }

    #[test]
    fn bad_names_say_what_is_wrong() {
        let message = |text: &str| UserName::parse(text).unwrap_err().to_string();
        assert_eq!(message("  "), "a name cannot be empty");
        assert_eq!(message(&"x".repeat(33)), "a name has at most 32 characters");
        assert_eq!(message("two words"), "a name cannot hold a space; use letters, digits, '_', '-' and '.'");
        assert_eq!(message("a:b"), "a name cannot hold ':'; use letters, digits, '_', '-' and '.'");
        assert_eq!(message("a\u{200d}b"), "a name cannot hold U+200D; use letters, digits, '_', '-' and '.'");
        assert_eq!(message("a\u{1b}b"), "a name cannot hold U+001B; use letters, digits, '_', '-' and '.'");
    }

    #[test]
    fn the_key_of_every_letter_is_a_name_and_its_own_key() {
        assert_eq!(UserName::parse("\u{130}").unwrap_err(), NameError::Character('\u{307}'));
        // Between them lie scripts without case.
        let cased = ('\0'..'\u{3400}').chain('\u{a000}'..'\u{ac00}').chain('\u{f900}'..'\u{20000}');
        for name in cased.filter_map(|c| UserName::parse(&c.to_string()).ok()) {
            let key = UserName::parse(name.key()).unwrap();
            assert_eq!((key.as_str(), key.key()), (name.key(), name.key()));
        }
    }

    proptest! {
        #[test]
        fn a_parsed_name_parses_to_itself(text in "\\PC{0,40}") {
            if let Ok(name) = UserName::parse(&text) {
                let again = UserName::parse(name.as_str()).unwrap();
                prop_assert_eq!(again.as_str(), name.as_str());
                prop_assert_eq!(again.key(), name.key());
                let key = UserName::parse(name.key()).unwrap();
                prop_assert_eq!((key.as_str(), key.key()), (name.key(), name.key()));
            }
        }

        #[test]
        fn nothing_makes_the_parser_panic(text in any::<String>()) {
            let _ = UserName::parse(&text);
        }
    }
}
