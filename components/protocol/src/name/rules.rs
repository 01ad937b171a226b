//! The rules for the characters of a name.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

use crate::limits::NAME_CHARS;
use crate::sanitise::is_invisible;

/// Most non-spacing marks on one letter (UTS 39, section 5.4); no script needs more.
const MARKS: usize = 4;

/// Why a text is not a valid user name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    // Every text begins with "a name": the native dialect recognises name errors by it.
    /// Nothing but white space.
    #[error("a name cannot be empty")]
    Empty,
    /// More than [`NAME_CHARS`] characters.
    #[error("a name has at most {NAME_CHARS} characters")]
    TooLong,
    /// A character that is not allowed in names.
    #[error("a name cannot hold {}; use letters, digits, '_', '-' and '.'", describe(*.0))]
    Character(char),
    /// The name of a room without its mark.
    #[error("a name of a room begins with '#'")]
    NoRoom,
    /// Only dots, which has a meaning in a path.
    #[error("a name cannot be made of dots alone; add a letter or a digit")]
    Dots,
    /// A combining mark without a letter before it.
    #[error("a name holds marks only after a letter or a digit; leave {} out", describe(*.0))]
    LoneMark(char),
    /// Too many marks on a letter, or the same one twice.
    #[error("a name has at most {MARKS} marks on a letter, each once; leave {} out", describe(*.0))]
    Marks(char),
    /// A mix of scripts with look-alike letters.
    #[error(
        "a name cannot mix scripts, whose letters look alike; use letters of one script, or Latin with Chinese, Japanese or Korean"
    )]
    MixedScripts,
}

fn describe(c: char) -> String {
    match c {
        ' ' => "a space".to_owned(),
        c if c.is_control() || !c.is_ascii() => format!("U+{:04X}", u32::from(c)),
        c => format!("'{c}'"),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Letter,
    /// Spacing or non-spacing.
    Mark {
        spacing: bool,
    },
    Punctuation,
}

fn kind(c: char) -> Option<Kind> {
    if c.is_ascii() {
        return match c {
            '_' | '-' | '.' => Some(Kind::Punctuation),
            c => c.is_ascii_alphanumeric().then_some(Kind::Letter),
        };
    }
    match c.general_category() {
        GeneralCategory::NonspacingMark => Some(Kind::Mark { spacing: false }),
        GeneralCategory::SpacingMark => Some(Kind::Mark { spacing: true }),
        _ => c.is_alphanumeric().then_some(Kind::Letter),
    }
}

/// Checks the characters, by the rules of all versions. Normalising can lengthen a name, so the length is checked again.
pub(super) fn alphabet(name: &str) -> Result<(), NameError> {
    if name.chars().nth(NAME_CHARS).is_some() {
        return Err(NameError::TooLong);
    }
    match name.chars().find(|c| kind(*c).is_none()) {
        Some(c) => Err(NameError::Character(c)),
        None => Ok(()),
    }
}

/// Rejects names of dots alone, invisible characters (including joiners, although RFC 5892 allows some), marks without a letter and too
/// many marks.
pub(super) fn shape(name: &str) -> Result<(), NameError> {
    if name.bytes().all(|b| b == b'.') {
        return Err(NameError::Dots);
    }
    if name.is_ascii() {
        return Ok(());
    }
    if let Some(c) = name.chars().find(|c| is_invisible(*c)) {
        return Err(NameError::Character(c));
    }
    let (mut before, mut last, mut marks) = (Kind::Punctuation, None, 0);
    for c in name.chars() {
        let kind = kind(c).ok_or(NameError::Character(c))?;
        match kind {
            Kind::Mark { .. } if before == Kind::Punctuation => return Err(NameError::LoneMark(c)),
            Kind::Mark { spacing: false } => {
                marks += 1;
                if marks > MARKS || last == Some(c) {
                    return Err(NameError::Marks(c));
                }
            }
            Kind::Mark { spacing: true } | Kind::Letter | Kind::Punctuation => marks = 0,
        }
        (before, last) = (kind, Some(c));
    }
    Ok(())
}
