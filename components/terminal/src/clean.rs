//! The last filter before output: text from the server must never control the terminal.
//!
//! Bodies and names were validated when parsed, error texts and metadata were not. Everything passes this filter, so nothing can bypass it.

use std::borrow::Cow;

use protocol::sanitise;

/// Longest line of a server's text, in characters; real errors are shorter.
const LINE_CHARS: usize = 2000;

/// One line: line separators become spaces, control characters are removed, and the result is truncated.
pub(crate) fn one_line(text: &str) -> String {
    sanitise::short_line(&untabbed(text), LINE_CHARS).into_owned()
}

/// A message's text on one line, not truncated.
pub(crate) fn flatten(text: &str) -> String {
    sanitise::line(&untabbed(text)).into_owned()
}

/// Replaces tabs, whose width depends on their position, which is unknown when the screen wraps lines.
fn untabbed(text: &str) -> Cow<'_, str> {
    if text.contains('\t') { text.replace('\t', " ").into() } else { text.into() }
}

/// The lines of a message's text.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = String> {
    text.split('\n').map(flatten)
}

/// JSON with control characters escaped, which does not change its meaning.
pub(crate) fn json(value: &impl serde::Serialize) -> String {
    let text = serde_json::to_string(value).expect("texts and numbers can be written as JSON");
    sanitise::json(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn control_sequences_are_removed() {
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
