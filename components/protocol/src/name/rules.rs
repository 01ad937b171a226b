//! Which characters a name holds, and how they may follow each other.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

use crate::limits::NAME_CHARS;
use crate::sanitise::is_invisible;

/// Most marks without a width of their own on one letter (UTS 39, section 5.4): what no script needs more of.
const MARKS: usize = 4;

/// Why a text is not a user name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    // Every sentence begins with "a name": the native dialect tells an error of the name by it.
    /// Nothing but white space.
    #[error("a name cannot be empty")]
    Empty,
    /// More than [`NAME_CHARS`] characters.
    #[error("a name has at most {NAME_CHARS} characters")]
    TooLong,
    /// A character that no name may hold.
    #[error("a name cannot hold {}; use letters, digits, '_', '-' and '.'", describe(*.0))]
    Character(char),
    /// The name of a room without its mark.
    #[error("a name of a room begins with '#'")]
    NoRoom,
    /// Dots and nothing else, which is a place in a path.
    #[error("a name cannot be made of dots alone; add a letter or a digit")]
    Dots,
    /// A mark that stands on no letter.
    #[error("a name holds marks only after a letter or a digit; leave {} out", describe(*.0))]
    LoneMark(char),
    /// More marks on a letter than writing needs, or the same one twice.
    #[error("a name has at most {MARKS} marks on a letter, each once; leave {} out", describe(*.0))]
    Marks(char),
    /// Scripts that hold look-alikes of each other's letters.
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
    /// With a width of its own, or without.
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

/// The characters of every name of every version. Normalising can make one character into many, so the length is checked again.
pub(super) fn alphabet(name: &str) -> Result<(), NameError> {
    if name.chars().nth(NAME_CHARS).is_some() {
        return Err(NameError::TooLong);
    }
    match name.chars().find(|c| kind(*c).is_none()) {
        Some(c) => Err(NameError::Character(c)),
        None => Ok(()),
    }
}

/// What is refused of these: dots alone, what cannot be seen (joiners are among it, whatever RFC 5892 allows of them), marks on nothing,
/// heaps of marks.
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
