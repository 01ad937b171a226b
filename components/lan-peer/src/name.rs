//! Names, fit to be shown: what cannot be seen is taken out, and what may be taken for somebody else is told apart by the key.

use std::net::{IpAddr, SocketAddr};

use protocol::name::{is_of_one_writing, skeleton_of};
use protocol::sanitise;

/// Longest name, in characters.
const CHARS: usize = 40;

/// A name without what steers a terminal or cannot be seen, and not long.
pub(crate) fn tidy(name: &str) -> String {
    let text: String = name.chars().take(8 * CHARS).filter(|c| is_seen(*c)).collect();
    text.trim().chars().take(CHARS).collect()
}

fn is_seen(c: char) -> bool {
    c != '\t' && !sanitise::steers(c) && !sanitise::is_invisible(c)
}

/// Whether two names look the same to people.
pub(crate) fn look_the_same(one: &str, other: &str) -> bool {
    shape(one) == shape(other)
}

/// What names have in common that look the same (UTS 39): in other cases, in letters of other scripts, with other white space.
pub(crate) fn shape(name: &str) -> String {
    let words: Vec<String> = name.split_whitespace().map(str::to_lowercase).collect();
    skeleton_of(&words.join(" "))
}

/// So many digits of a key stand for it at the command line.
const KEY_DIGITS: usize = 6;

/// Whether a name that somebody gives themselves is made like something else: of scripts that nobody mixes within a word, like an
/// address or the beginning of a key, or with what stands behind names that are told apart by their keys.
pub(crate) fn is_doubtful(name: &str) -> bool {
    let mut words = name.split(|c: char| c.is_whitespace() || c.is_ascii_punctuation());
    let is_mixed = words.any(|word| !is_of_one_writing(word));
    let is_address =
        name.parse::<IpAddr>().is_ok() || name.parse::<SocketAddr>().is_ok() || name.starts_with("old:");
    let is_hexadecimal = name.len() >= KEY_DIGITS && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let last = name.rsplit('(').next().and_then(|end| end.trim().strip_suffix(')'));
    let is_key = last.is_some_and(|key| key.len() == 8 && key.chars().all(|c| c.is_ascii_hexdigit()));
    is_mixed || is_address || is_hexadecimal || is_key
}

/// What this machine is called.
pub(crate) fn of_this_machine() -> String {
    let name = tidy(&std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default());
    if name.is_empty() { "somebody".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_the_same_are_the_same() {
        for other in ["ALICE", "\u{430}lice", "al\u{456}ce", "\u{ff41}lice", "a\u{2113}ice"] {
            assert!(look_the_same("alice", other), "{other}");
        }
        assert!(look_the_same("nas  one", "nas\u{a0}one"));
        assert!(!look_the_same("alice", "alicia") && !look_the_same("alice", "bob"));
    }

    #[test]
    fn names_made_to_be_taken_for_something_else_are_doubtful() {
        for fine in [
            "alice",
            "Anna's laptop",
            "\u{417}\u{43e}\u{44f}",
            "anna \u{417}\u{43e}\u{44f}",
            "\u{6771}\u{4eac} PC",
            "node (2)",
            "nas-1.lan",
        ] {
            assert!(!is_doubtful(fine), "{fine}");
        }
        for bad in [
            "p\u{430}ypal",
            "alice (01020304)",
            "alice (ABCDEF12) ",
            "10.0.0.7",
            "fe80::1",
            "10.0.0.7:47600",
            "[fe80::1]:1",
            "old:10.0.0.7",
            "02020202",
        ] {
            assert!(is_doubtful(bad), "{bad}");
        }
        assert_eq!(tidy("alice\u{3164}"), "alice");
    }

    #[test]
    fn a_name_is_made_fit_to_show() {
        assert_eq!(tidy(" al\u{1b}[31mi\u{202e}ce\u{200b} \n"), "al[31mice");
        assert_eq!(tidy("\u{200b}\u{feff}"), "");
        assert_eq!(tidy(&"x".repeat(10_000)).len(), CHARS);
    }
}
