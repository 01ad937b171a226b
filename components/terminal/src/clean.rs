//! What the server sends is text to show, never orders to the terminal: the last filter before anything is printed.
//!
//! Bodies and names were checked when they were read; error texts and metadata were not, and a filter that everything passes
//! needs no proof that nothing came around it.

/// Longest single line of the server's own words, in characters: enough for any honest error.
const LINE_CHARS: usize = 2000;

/// Whether a character could steer a terminal or rewrite how the line around it reads: C0 and C1 controls, the direction marks,
/// overrides and isolates of UAX #9, line and paragraph separators, annotations and tags.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// One line: what separates lines becomes a space, what is harmful goes, what is too long is cut.
pub(crate) fn one_line(text: &str) -> String {
    bounded(&flatten(text))
}

/// A message's text on one line, whole.
pub(crate) fn flatten(text: &str) -> String {
    let flat = text.chars().map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c });
    flat.filter(|c| !is_harmful(*c)).collect()
}

/// The lines of a message's text.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = String> {
    text.split('\n').map(flatten)
}

/// JSON in which nothing harmful stands but as an escape, which says the same: such characters occur only inside its strings.
pub(crate) fn json(value: &impl serde::Serialize) -> String {
    let text = serde_json::to_string(value).expect("texts and numbers can be written as JSON");
    if !text.chars().any(is_harmful) {
        return text;
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_harmful(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                escaped.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            escaped.push(c);
        }
    }
    escaped
}

fn bounded(text: &str) -> String {
    match text.char_indices().nth(LINE_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
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
        assert!(!json.chars().any(is_harmful), "{json}");
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
            prop_assert!(!one_line(&text).chars().any(is_harmful));
            prop_assert!(lines(&text).all(|line| !line.chars().any(is_harmful)));
        }
    }
}
