//! The names of everybody online as one line of text, so that a greeting is a copy and not a walk through everybody.

use protocol::UserName;

const SEPARATOR: &str = ", ";

/// Names in the order their owners came, each with [`SEPARATOR`] before it. No name holds any of it.
#[derive(Debug, Default)]
pub(crate) struct Listing(String);

impl Listing {
    /// Somebody came.
    pub(crate) fn push(&mut self, name: &UserName) {
        self.0.push_str(SEPARATOR);
        self.0.push_str(name.as_str());
    }

    /// Somebody went.
    pub(crate) fn remove(&mut self, name: &UserName) {
        if let Some((start, end)) = self.find(name) {
            self.0.replace_range(start..end, "");
        }
    }

    /// Everybody who came before somebody, and them last.
    pub(crate) fn up_to(&self, name: &UserName) -> &str {
        let end = self.find(name).map_or(self.0.len(), |(_, end)| end);
        self.0[..end].strip_prefix(SEPARATOR).unwrap_or_default()
    }

    /// Where a name stands, its separator included. Whoever is looked for came last in most cases.
    fn find(&self, name: &UserName) -> Option<(usize, usize)> {
        let wanted = format!("{SEPARATOR}{}", name.as_str());
        let ends = |end: usize| self.0.len() == end || self.0[end..].starts_with(SEPARATOR);
        self.0.rmatch_indices(&wanted).map(|(at, _)| (at, at + wanted.len())).find(|(_, end)| ends(*end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::name;

    #[test]
    fn names_that_begin_alike_are_told_apart() {
        let mut listing = Listing::default();
        for who in ["bobby", "bob", "bob-2", "ann"] {
            listing.push(&name(who));
        }
        assert_eq!(listing.up_to(&name("bob")), "bobby, bob");
        assert_eq!(listing.up_to(&name("ann")), "bobby, bob, bob-2, ann");
        listing.remove(&name("bob"));
        assert_eq!(listing.up_to(&name("ann")), "bobby, bob-2, ann");
        listing.remove(&name("bobby"));
        listing.remove(&name("ann"));
        listing.remove(&name("nobody"));
        assert_eq!(listing.up_to(&name("bob-2")), "bob-2");
        listing.remove(&name("bob-2"));
        assert_eq!(listing.up_to(&name("bob-2")), "");
    }
}
