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
/// So many at the end of a name may be taken for those that tell two of one name apart.
const SUFFIX_DIGITS: usize = 8;

/// Whether a name that somebody gives themselves is made like something else: of scripts that nobody mixes within a word, like an
/// address or the beginning of a key, or with what stands behind names that are told apart by their keys.
pub(crate) fn is_doubtful(name: &str) -> bool {
    let mut words = name.split(|c: char| c.is_whitespace() || c.is_ascii_punctuation());
    words.any(|word| !is_of_one_writing(word)) || is_address(name) || is_key(name)
}

fn is_address(name: &str) -> bool {
    // Whatever digits it is written with.
    let shape = shape(name);
    let is_numeric = shape.chars().all(|c| is_digit(c) || matches!(c, '.' | ':' | '%' | '[' | ']'));
    let marks = |mark| shape.matches(mark).count();
    let is_like_one = is_numeric && (marks('.') == 3 || marks(':') > 1);
    is_like_one
        || name.parse::<IpAddr>().is_ok()
        || name.parse::<SocketAddr>().is_ok()
        || shape.starts_with(&skeleton_of("old:"))
}

fn is_key(name: &str) -> bool {
    let shape = shape(name);
    let is_whole = shape.chars().count() >= KEY_DIGITS && shape.chars().all(is_digit);
    // With or without what stands between and around the digits.
    let end = shape.chars().rev().take_while(|c| is_digit(*c) || !c.is_alphanumeric());
    is_whole || end.filter(|c| is_digit(*c)).count() >= SUFFIX_DIGITS
}

/// A hexadecimal digit as [`shape`] leaves it: nought looks like the letter O there, and one like the letter l.
fn is_digit(c: char) -> bool {
    c.is_ascii_hexdigit() || matches!(c, 'O' | 'o' | 'l')
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
        assert_eq!(tidy("alice\u{3164}"), "alice");
    }

    #[test]
    fn a_name_is_made_fit_to_show() {
        assert_eq!(tidy(" al\u{1b}[31mi\u{202e}ce\u{200b} \n"), "al[31mice");
        assert_eq!(tidy("\u{200b}\u{feff}"), "");
        assert_eq!(tidy(&"x".repeat(10_000)).len(), CHARS);
    }
}
