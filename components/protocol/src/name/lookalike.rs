//! Names that are different and look the same (UTS 39).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use unicode_script::{Script, ScriptExtension, UnicodeScript};

use super::{NameError, UserName};

/// The skeleton of the name as it is written, in lower case. Of the name as written, because a capital `I` looks like an `l` and its key
/// is `i`; in lower case, because `Bob` and `bob` are one name to everybody.
pub(super) fn skeleton(name: &UserName) -> Arc<str> {
    let text = name.as_str();
    // These are their own prototypes; most names hold no others.
    let own = |b: u8| matches!(b, b'a'..=b'l' | b'n'..=b'z' | b'_' | b'-' | b'.' | b'2'..=b'9');
    if text.bytes().all(own) {
        return Arc::clone(&name.key);
    }
    skeleton_of(text).into()
}

/// What two texts have in common when they look the same: for names that are not [`UserName`]s, such as those of devices.
#[must_use]
pub fn skeleton_of(text: &str) -> String {
    unicode_security::skeleton(text).collect::<String>().to_lowercase()
}

/// A name that somebody can take who was not here before: of one script, or Latin beside Chinese, Japanese or Korean (the "highly
/// restrictive" level of UTS 39, for the characters of all scripts).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewName(UserName);

impl NewName {
    /// Checks a name.
    ///
    /// # Errors
    /// Says which rule the name breaks.
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

/// Whether a text mixes no scripts that people do not write together, which is how one name is made to look like another.
#[must_use]
pub fn is_of_one_writing(name: &str) -> bool {
    let mut scripts = ScriptExtension::from(Script::Common);
    let (mut chinese, mut japanese, mut korean, mut is_latin) = (true, true, true, true);
    for c in name.chars() {
        let of = c.script_extension();
        scripts.intersect_with(of);
        let within = |some: &[Script]| {
            of.is_common() || of.is_inherited() || some.iter().any(|script| of.contains_script(*script))
        };
        is_latin &= within(&[Script::Latin]);
        chinese &= within(&[Script::Latin, Script::Han, Script::Bopomofo]);
        japanese &= within(&[Script::Latin, Script::Han, Script::Hiragana, Script::Katakana]);
        korean &= within(&[Script::Latin, Script::Han, Script::Hangul]);
    }
    is_latin || chinese || japanese || korean || !scripts.is_empty()
}

/// Names that only services may use, and what looks like them.
#[derive(Debug, Clone, Default)]
pub struct Reserved {
    names: HashSet<UserName>,
    skeletons: HashMap<Arc<str>, UserName>,
}

impl Reserved {
    /// Whether a name is reserved itself.
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
