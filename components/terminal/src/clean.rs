//! What the server sends is text to show, never orders to the terminal: the last filter before anything is printed.
//!
//! Bodies and names were checked when they were read; error texts and metadata were not, and a filter that everything passes
//! needs no proof that nothing came around it.

use std::borrow::Cow;

use protocol::sanitise;

/// Longest single line of the server's own words, in characters: enough for any honest error.
const LINE_CHARS: usize = 2000;

/// One line: what separates lines becomes a space, what is harmful goes, what is too long is cut.
pub(crate) fn one_line(text: &str) -> String {
    sanitise::short_line(&untabbed(text), LINE_CHARS).into_owned()
}

/// A message's text on one line, whole.
pub(crate) fn flatten(text: &str) -> String {
    sanitise::line(&untabbed(text)).into_owned()
}

/// The width of a tab depends on where it stands, which the screen does not know when it wraps.
fn untabbed(text: &str) -> Cow<'_, str> {
    if text.contains('\t') { text.replace('\t', " ").into() } else { text.into() }
}

/// The lines of a message's text.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = String> {
    text.split('\n').map(flatten)
}

/// JSON in which nothing harmful stands but as an escape, which says the same.
pub(crate) fn json(value: &impl serde::Serialize) -> String {
    let text = serde_json::to_string(value).expect("texts and numbers can be written as JSON");
    sanitise::json(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn orders_to_the_terminal_lose_their_teeth() {
        assert_eq!(one_line("\u{1b}]0;title\u{7}a\u{9b}2Jb\u{202e}c\r\nd"), "]0;titlea2Jbc  d");
        assert_eq!(lines("a\tb\n\u{1b}c").collect::<Vec<_>>(), ["a b", "c"]);
        assert_eq!(one_line(&"x".repeat(5000)).chars().count(), LINE_CHARS + 1);
    }

    #[test]
    fn json_says_the_same_and_is_harmless() {
        let text = "a\u{9b}2J\u{202e}\u{e0041}\u{7f}\n\u{1b}";
        let json = json(&text);
        assert!(!json.chars().any(sanitise::steers), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }

    #[test]
    fn other_scripts_and_emoji_stay() {
        let text = "шалом שלום 👩\u{200d}👩\u{200d}👧 日本";
        assert_eq!(one_line(text), text);
    }

    proptest! {
        #[test]
        fn nothing_harmful_comes_through(text in any::<String>()) {
            prop_assert!(!one_line(&text).chars().any(sanitise::steers));
            prop_assert!(lines(&text).all(|line| !line.chars().any(sanitise::steers)));
        }
    }
}
