//! The names that have an account, as far as this server must know them itself: while the message API does not answer, nobody takes a name
//! that may be protected.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

use protocol::UserName;

/// The protected names. Bound: one for each account in the store.
#[derive(Debug)]
pub(crate) struct ProtectedNames(RwLock<Option<HashSet<UserName>>>);

impl ProtectedNames {
    /// Not known yet.
    pub(crate) fn unknown() -> Self {
        Self(RwLock::new(None))
    }

    /// None, and that is known.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self(RwLock::new(Some(HashSet::new())))
    }

    /// Whether the name may have an account.
    pub(crate) fn may_have(&self, name: &UserName) -> bool {
        let names = self.0.read().unwrap_or_else(PoisonError::into_inner);
        names.as_ref().is_none_or(|names| names.contains(name))
    }

    /// All of them.
    pub(crate) fn set(&self, names: HashSet<UserName>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(names);
    }

    /// One more.
    pub(crate) fn add(&self, name: &UserName) {
        if let Some(names) = &mut *self.0.write().unwrap_or_else(PoisonError::into_inner) {
            names.insert(name.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_may_be_protected() {
        let [alice, bob] = ["alice", "bob"].map(|name| UserName::parse(name).unwrap());
        let names = ProtectedNames::unknown();
        names.add(&alice);
        assert!(names.may_have(&bob), "nothing was read yet");
        names.set(HashSet::from([alice.clone()]));
        assert!(names.may_have(&alice) && !names.may_have(&bob));
        names.add(&bob);
        assert!(names.may_have(&bob));
    }
}
