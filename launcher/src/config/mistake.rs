//! What is wrong with a configuration: all of it at once, each with its place.

use std::fmt;

use kit::{Exit, Failure};

use super::source::Source;

/// One thing that is wrong. Never holds a value that may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where.
    pub source: Source,
    /// What, and where possible what to write instead.
    pub what: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source, self.what)
    }
}

/// Everything that is wrong with a configuration, in the order of the layers and of the lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    /// Succeeds when nothing is wrong.
    pub(crate) fn check(mistakes: Vec<Mistake>) -> Result<(), Self> {
        if mistakes.is_empty() { Ok(()) } else { Err(Self(mistakes)) }
    }

    /// As the end of a process.
    #[must_use]
    pub fn into_failure(self) -> Failure {
        Failure::new(Exit::Config, self)
    }

    /// One by one.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }
}

impl std::error::Error for Mistakes {}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [only] => write!(f, "the configuration is wrong: {only}"),
            all => {
                write!(f, "the configuration has {} mistakes:", all.len())?;
                all.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
            }
        }
    }
}
