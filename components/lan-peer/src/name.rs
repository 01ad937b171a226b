//! Names for display: invisible characters are removed, and names that could be confused get part of the key.

use std::net::{IpAddr, SocketAddr};

use protocol::name::{is_of_one_writing, skeleton_of};
use protocol::sanitise;

/// Longest name, in characters.
const CHARS: usize = 40;

/// A name without control and invisible characters, shortened.
pub(crate) fn sanitised(name: &str) -> String {
    let text: String = name.chars().take(8 * CHARS).filter(|c| is_seen(*c)).collect();
    text.trim().chars().take(CHARS).collect()
}

fn is_seen(c: char) -> bool {
    c != '\t' && !sanitise::steers(c) && !sanitise::is_invisible(c)
}

/// Whether two names look the same to people.
pub(crate) fn look_the_same(one: &str, other: &str) -> bool {
    skeleton(one) == skeleton(other)
}

/// The skeleton that names which look the same share (UTS 39): independent of case, script and white space.
pub(crate) fn skeleton(name: &str) -> String {
    let words: Vec<String> = name.split_whitespace().map(str::to_lowercase).collect();
    skeleton_of(&words.join(" "))
}

/// Fewest digits that identify a key on the command line.
const KEY_DIGITS: usize = 6;
/// Digits at the end of a name that could be mistaken for a key suffix.
const SUFFIX_DIGITS: usize = 8;

/// Whether a peer's own name imitates something else: mixed scripts within a word, an address, the start of a key, or the suffix of names
/// displayed with part of their key.
pub(crate) fn is_doubtful(name: &str) -> bool {
    let mut words = name.split(|c: char| c.is_whitespace() || c.is_ascii_punctuation());
    words.any(|word| !is_of_one_writing(word)) || is_address(name) || is_key(name)
}

fn is_address(name: &str) -> bool {
    // In any script's digits.
    let skeleton = skeleton(name);
    let is_numeric = skeleton.chars().all(|c| is_digit(c) || matches!(c, '.' | ':' | '%' | '[' | ']'));
    let marks = |mark| skeleton.matches(mark).count();
    let is_like_one = is_numeric && (marks('.') == 3 || marks(':') > 1);
    is_like_one
        || name.parse::<IpAddr>().is_ok()
        || name.parse::<SocketAddr>().is_ok()
        || skeleton.starts_with(&skeleton_of("old:"))
}

fn is_key(name: &str) -> bool {
    let skeleton = skeleton(name);
    let is_complete = skeleton.chars().count() >= KEY_DIGITS && skeleton.chars().all(is_digit);
    // With or without separators between and around the digits.
    let end = skeleton.chars().rev().take_while(|c| is_digit(*c) || !c.is_alphanumeric());
    is_complete || end.filter(|c| is_digit(*c)).count() >= SUFFIX_DIGITS
}

/// A hexadecimal digit in a [`skeleton`]: zero looks like the letter O there, and one like the letter l.
fn is_digit(c: char) -> bool {
    c.is_ascii_hexdigit() || matches!(c, 'O' | 'o' | 'l')
}

/// This machine's name.
pub(crate) fn of_this_machine() -> String {
    let name = sanitised(&std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default());
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
            "iPad 2024",
            "Anna (office)",
        ] {
            assert!(!is_doubtful(fine), "{fine}");
        }
        for bad in [
            "p\u{430}ypal",
            "alice (01020304)",
            "alice (ABCDEF12) ",
            "alice (0102-0304-0506-0708-090a)",
            "alice [0102 0304 0506]",
            // Fullwidth brackets and digits, letters for digits.
            "alice \u{ff08}\u{ff10}102-0304-0506\u{ff09}",
            "alice (OlO2-O3O4-O5O6)",
            "\u{ff11}0.0.0.7",
            "l0.0.0.7",
            "10.0.0.7",
            "fe80::1",
            "10.0.0.7:47600",
            "[fe80::1]:1",
            "old:10.0.0.7",
            "02020202",
        ] {
            assert!(is_doubtful(bad), "{bad}");
        }
        assert_eq!(sanitised("alice\u{3164}"), "alice");
    }

    #[test]
    fn a_name_is_made_fit_to_show() {
        assert_eq!(sanitised(" al\u{1b}[31mi\u{202e}ce\u{200b} \n"), "al[31mice");
        assert_eq!(sanitised("\u{200b}\u{feff}"), "");
        assert_eq!(sanitised(&"x".repeat(10_000)).len(), CHARS);
    }
}
