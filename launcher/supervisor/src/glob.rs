//! Patterns of paths: `*` and `?` within a name, `**` for any number of directories, `{a,b}` for either. As in a shell, no wildcard stands for
//! a dot at the beginning of a name; so what editors hide matches nothing. Pure.

use std::path::{Path, PathBuf};

/// A pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob {
    /// Where all that it matches lies: its part before the first wildcard, without a file's name.
    pub(crate) root: PathBuf,
    /// The names below that, each with wildcards.
    names: Vec<String>,
}

impl Glob {
    /// The patterns that a text with alternatives stands for, relative ones from this directory on.
    pub(crate) fn parse(text: &str, directory: &Path) -> Vec<Self> {
        alternatives(text).iter().map(|text| Self::plain(text, directory)).collect()
    }

    fn plain(text: &str, directory: &Path) -> Self {
        let (from, text) = match text.strip_prefix('/') {
            Some(rest) => (Path::new("/"), rest),
            None => (directory, text),
        };
        let names: Vec<&str> = text.split('/').filter(|name| !name.is_empty() && *name != ".").collect();
        let is_plain = |name: &&str| !name.contains(['*', '?']);
        let fixed = names.iter().take_while(|name| is_plain(name)).count().min(names.len().saturating_sub(1));
        let root = names[..fixed].iter().fold(from.to_owned(), |path, name| path.join(name));
        Self { root, names: names[fixed..].iter().map(|name| (*name).to_owned()).collect() }
    }

    /// Whether it matches a path.
    pub(crate) fn matches(&self, path: &Path) -> bool {
        let Ok(below) = path.strip_prefix(&self.root) else { return false };
        let found: Option<Vec<&str>> = below.iter().map(|name| name.to_str()).collect();
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        found.is_some_and(|found| path_matches(&names, &found))
    }
}

/// Each pair of braces is one of its parts. What has no end is taken as it is.
fn alternatives(text: &str) -> Vec<String> {
    let Some((before, rest)) = text.split_once('{') else { return vec![text.to_owned()] };
    let Some((inside, after)) = rest.split_once('}') else { return vec![text.to_owned()] };
    let ends = alternatives(after);
    let with = |part: &str| ends.iter().map(move |end| format!("{before}{part}{end}")).collect::<Vec<_>>();
    inside.split(',').flat_map(with).collect()
}

/// A `**` matches as few names as it may; where that leads nowhere, one more.
fn path_matches(pattern: &[&str], names: &[&str]) -> bool {
    wildcard(
        pattern.len(),
        names.len(),
        |p| pattern[p] == "**",
        |p, n| name_matches(pattern[p], names[n]),
        |n| !names[n].starts_with('.'),
    )
}

fn name_matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') != pattern.starts_with('.') {
        return false;
    }
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    wildcard(
        pattern.len(),
        name.len(),
        |p| pattern[p] == '*',
        |p, n| pattern[p] == '?' || pattern[p] == name[n],
        |_| true,
    )
}

/// Matches with one kind of star, which stands for any number of what `may_pass`, in time in proportion to the product of both lengths.
fn wildcard(
    pattern: usize,
    text: usize,
    is_star: impl Fn(usize) -> bool,
    is_same: impl Fn(usize, usize) -> bool,
    may_pass: impl Fn(usize) -> bool,
) -> bool {
    // Whether the pattern from `p` on matches the text from `n` on, for all `n`, from the end on.
    let mut matches: Vec<bool> = (0..=text).map(|n| n == text).collect();
    for p in (0..pattern).rev() {
        let rest = matches.clone();
        for n in (0..=text).rev() {
            matches[n] = if is_star(p) {
                rest[n] || n < text && may_pass(n) && matches[n + 1]
            } else {
                n < text && is_same(p, n) && rest[n + 1]
            };
        }
    }
    matches[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Glob::parse(pattern, Path::new("/home")).iter().any(|glob| glob.matches(Path::new(path)))
    }

    #[test]
    fn wildcards_stand_for_names_and_directories() {
        for (pattern, path) in [
            ("src/**", "/home/src/a.rs"),
            ("src/**", "/home/src/a/b/c.rs"),
            ("src/**/*.rs", "/home/src/a.rs"),
            ("src/**/*.rs", "/home/src/a/b.rs"),
            ("./src/*.{rs,toml}", "/home/src/a.toml"),
            ("**/test_?.py", "/home/x/y/test_1.py"),
            ("app.py", "/home/app.py"),
            ("/etc/app/*.conf", "/etc/app/a.conf"),
            ("a*b*c", "/home/axxbxbyc"),
            (".env*", "/home/.env.local"),
            ("**/é?.txt", "/home/éü.txt"),
        ] {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("src/**", "/home/other/a.rs"),
            ("src/*.rs", "/home/src/a/b.rs"),
            ("src/**/*.rs", "/home/src/a.rs.swp"),
            ("src/**", "/home/src/.a.swp"),
            ("src/*.rs", "/home/src/.a.rs"),
            ("**/*.py", "/home/.git/a.py"),
            ("app.py", "/home/app.pyc"),
            ("a?", "/home/a"),
            ("src/**", "/elsewhere/src/a"),
        ] {
            assert!(!matches(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn what_is_watched_is_the_part_without_wildcards() {
        let root = |pattern: &str| Glob::parse(pattern, Path::new("/home"))[0].root.clone();
        assert_eq!(root("src/**/*.rs"), Path::new("/home/src"));
        assert_eq!(root("src/a/app.py"), Path::new("/home/src/a"));
        assert_eq!(root("*.py"), Path::new("/home"));
        assert_eq!(root("/srv/{a,b}/*.py"), Path::new("/srv/a"));
    }

    #[test]
    fn stars_cost_no_more_than_their_product() {
        assert!(!matches(&format!("{}b", "*a".repeat(60)), &format!("/home/{}", "a".repeat(250))));
        assert!(!matches(&format!("{}x", "**/".repeat(60)), &format!("/home{}", "/a".repeat(200))));
    }
}
