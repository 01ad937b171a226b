//! Names that new users may take, and reserved names.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::lookalike::is_of_one_writing;
use super::rules::NameError;
use super::user_name::UserName;

/// A name that a new user can take: of one script, or Latin with Chinese, Japanese or Korean (the "highly restrictive" level of UTS 39,
/// applied to the characters of all scripts).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewName(UserName);

impl NewName {
    /// Validates a name.
    ///
    /// # Errors
    /// The rule that the name breaks.
    pub fn new(name: UserName) -> Result<Self, NameError> {
        name.check()?;
        if is_of_one_writing(name.as_str()) { Ok(Self(name)) } else { Err(NameError::MixedScripts) }
    }

    /// The name.
    #[must_use]
    pub fn into_inner(self) -> UserName {
        self.0
    }
}

/// Names that only services may use. Names that look like them are rejected, too.
#[derive(Debug, Clone, Default)]
pub struct Reserved {
    names: HashSet<UserName>,
    skeletons: HashMap<Arc<str>, UserName>,
}

impl Reserved {
    /// Whether exactly this name is reserved.
    #[must_use]
    pub fn contains(&self, name: &UserName) -> bool {
        self.names.contains(name)
    }

    /// The reserved name that another one looks like.
    #[must_use]
    pub fn lookalike(&self, name: &UserName) -> Option<&UserName> {
        if self.skeletons.is_empty() || self.contains(name) {
            return None;
        }
        self.skeletons.get(&name.skeleton())
    }
}

impl FromIterator<UserName> for Reserved {
    fn from_iter<I: IntoIterator<Item = UserName>>(names: I) -> Self {
        let names: HashSet<UserName> = names.into_iter().collect();
        let skeletons = names.iter().map(|name| (name.skeleton(), name.clone())).collect();
        Self { names, skeletons }
    }
}
