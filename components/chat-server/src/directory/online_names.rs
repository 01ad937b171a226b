//! The names of all users online as one text, so that a greeting copies it instead of iterating over all users.

use protocol::UserName;

const SEPARATOR: &str = ", ";

/// Names in order of login, each preceded by [`SEPARATOR`], which no name contains.
#[derive(Debug, Default)]
pub(crate) struct OnlineNames(String);

impl OnlineNames {
    /// Adds a user who came online.
    pub(crate) fn push(&mut self, name: &UserName) {
        self.0.push_str(SEPARATOR);
        self.0.push_str(name.as_str());
    }

    /// Removes a user who went offline.
    pub(crate) fn remove(&mut self, name: &UserName) {
        if let Some((start, end)) = self.find(name) {
            self.0.replace_range(start..end, "");
        }
    }

    /// The names of all users who came before this one, and this one last.
    pub(crate) fn up_to(&self, name: &UserName) -> &str {
        let end = self.find(name).map_or(self.0.len(), |(_, end)| end);
        self.0[..end].strip_prefix(SEPARATOR).unwrap_or_default()
    }

    /// The range of a name, including its separator. Searches from the end, because lookups are mostly for the newest name.
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
        let mut online_names = OnlineNames::default();
        for who in ["bobby", "bob", "bob-2", "ann"] {
            online_names.push(&name(who));
        }
        assert_eq!(online_names.up_to(&name("bob")), "bobby, bob");
        assert_eq!(online_names.up_to(&name("ann")), "bobby, bob, bob-2, ann");
        online_names.remove(&name("bob"));
        assert_eq!(online_names.up_to(&name("ann")), "bobby, bob-2, ann");
        online_names.remove(&name("bobby"));
        online_names.remove(&name("ann"));
        online_names.remove(&name("nobody"));
        assert_eq!(online_names.up_to(&name("bob-2")), "bob-2");
        online_names.remove(&name("bob-2"));
        assert_eq!(online_names.up_to(&name("bob-2")), "");
    }
}
