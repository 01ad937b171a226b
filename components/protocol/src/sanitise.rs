//! Sanitising of text for display: which characters control a terminal or change how surrounding text reads.
//!
//! Bodies are sanitised on input. Everything else that others wrote (metadata, errors, device names, log lines) is sanitised on display,
//! because programs read it as data. Joiners, variation selectors and zero-width spaces stay: emoji families, Persian and Thai need them,
//! and they affect only adjacent letters.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a character can control a terminal or change how the text around it reads: C0 controls other than the tab, C1 controls and DEL
/// (ECMA-48), all bidirectional controls (UAX #9), line and paragraph separators, the deprecated format characters U+206A to U+206F, the
/// byte order mark, interlinear annotations, and tags (U+E0000 to U+E007F), which hide a text within another.
#[must_use]
pub fn steers(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control() && c != '\t';
    }
    matches!(
        c,
        '\u{80}'..='\u{9f}'
            | '\u{61c}'
            | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// Whether a character has no shape of its own (`Default_Ignorable_Code_Point` of Unicode), so that two texts that differ in it look the
/// same. By category, some of them are letters or marks.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}' | '\u{1160}'
            | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Fast path: whether a text is printable ASCII, as most texts are.
fn is_printable_ascii(text: &str) -> bool {
    text.bytes().all(|b| (b' '..=b'~').contains(&b))
}

/// Sanitises multi-line text: line ends of all kinds become `\n`, tabs stay, control characters are removed.
#[must_use]
pub fn text(text: &str) -> Cow<'_, str> {
    if is_printable_ascii(text) || !text.chars().any(|c| steers(c) && c != '\n') {
        return text.into();
    }
    let mut clean = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' if chars.peek() == Some(&'\n') => {}
            '\r' | '\u{2028}' | '\u{2029}' => clean.push('\n'),
            '\n' => clean.push(c),
            c if steers(c) => {}
            c => clean.push(c),
        }
    }
    clean.into()
}

/// Sanitises text to one line: line ends become a space, tabs stay, other control characters are removed.
#[must_use]
pub fn line(text: &str) -> Cow<'_, str> {
    if is_printable_ascii(text) || !text.chars().any(steers) {
        return text.into();
    }
    let spaced = text.chars().map(|c| match c {
        '\n' | '\r' | '\u{2028}' | '\u{2029}' => ' ',
        c => c,
    });
    spaced.filter(|c| !steers(*c)).collect::<String>().into()
}

/// The same with `\u{fffd}` in place of each removed character, for people who diagnose a problem and need to see it.
#[must_use]
pub fn mark(text: &str) -> Cow<'_, str> {
    if is_printable_ascii(text) || !text.chars().any(steers) {
        return text.into();
    }
    text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect::<String>().into()
}

/// At most `most` characters of a text on one line, with `…` for the rest. Long hostile texts cost only as much as the part that is shown
/// and the characters removed before it.
#[must_use]
pub fn short_line(text: &str, most: usize) -> Cow<'_, str> {
    let clean = line(text);
    match clean.char_indices().nth(most) {
        None => clean,
        Some((end, _)) => format!("{}…", &clean[..end]).into(),
    }
}

/// Escapes control characters in JSON text as `\u` escapes, which does not change its meaning: they occur only inside strings. The white
/// space of indented JSON stays.
#[must_use]
pub fn json(text: &str) -> Cow<'_, str> {
    let layout = |c| matches!(c, '\n' | '\r');
    if is_printable_ascii(text) || !text.chars().any(|c| steers(c) && !layout(c)) {
        return text.into();
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if !steers(c) || layout(c) {
            escaped.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(escaped, "\\u{unit:04x}");
        }
    }
    escaped.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Description, input, result of `text`, result of `line`.
    const TABLE: [(&str, &str, &str, &str); 12] = [
        ("a colour", "a\u{1b}[31mb", "a[31mb", "a[31mb"),
        ("an eight-bit colour", "a\u{9b}31mb", "a31mb", "a31mb"),
        ("a title", "\u{1b}]0;t\u{7}\u{9d}0;t\u{9c}", "]0;t0;t", "]0;t0;t"),
        ("a deletion", "a\u{8}\u{7f}b", "ab", "ab"),
        ("line ends", "a\r\nb\rc\u{2028}d\u{2029}e\u{85}f", "a\nb\nc\nd\nef", "a  b c d ef"),
        ("an override", "a\u{202e}b\u{2066}c\u{2069}", "abc", "abc"),
        ("direction marks", "a\u{200e}b\u{200f}c\u{61c}d", "abcd", "abcd"),
        ("a hidden text", "a\u{e0041}\u{e007f}b", "ab", "ab"),
        ("an annotation", "a\u{fff9}b\u{fffa}c\u{fffb}\u{feff}", "abc", "abc"),
        (
            "a family",
            "👩\u{200d}👩\u{200d}👧 ❤\u{fe0f}",
            "👩\u{200d}👩\u{200d}👧 ❤\u{fe0f}",
            "👩\u{200d}👩\u{200d}👧 ❤\u{fe0f}",
        ),
        ("Persian", "می\u{200c}خواهم", "می\u{200c}خواهم", "می\u{200c}خواهم"),
        ("a tab", "a\tb", "a\tb", "a\tb"),
    ];

    #[test]
    fn what_steers_is_removed_and_what_people_write_stays() {
        for (what, raw, several, one) in TABLE {
            assert_eq!(text(raw), several, "{what}");
            assert_eq!(line(raw), one, "{what}");
        }
        assert_eq!(short_line("a\nb\u{1b}c", 2), "a …");
    }

    #[test]
    fn json_says_the_same_and_stays_json() {
        let value = serde_json::json!({ "k\u{9b}": "\u{9b}31m\u{202e}\u{e0041}\u{7f}\n\u{1b}" });
        let shown = json(&value.to_string()).into_owned();
        assert!(!shown.chars().any(steers), "{shown}");
        assert!(shown.contains("\\u009b31m\\u202e\\udb40\\udc41\\u007f"), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }

    #[test]
    fn every_invisible_character_is_one_by_the_tables_of_lookalikes() {
        // The other crate's table of `Default_Ignorable_Code_Point` is private; what its skeleton drops is in it.
        let dropped = |c: char| {
            let shown = ['a', c];
            unicode_security::skeleton(&shown.iter().collect::<String>()).eq("a".chars())
        };
        // The range between them is unassigned.
        for c in ('\0'..'\u{34000}').chain('\u{e0000}'..'\u{e2000}') {
            assert_eq!(is_invisible(c), dropped(c), "U+{:04X}", u32::from(c));
        }
    }

    proptest! {
        #[test]
        fn nothing_that_steers_is_shown(raw in any::<String>(), most in 0usize..50) {
            prop_assert!(text(&raw).chars().all(|c| !steers(c) || c == '\n'));
            prop_assert!(!line(&raw).chars().any(steers) && !mark(&raw).chars().any(steers));
            prop_assert!(short_line(&raw, most).chars().count() <= most + 1);
            let (one, several) = (line(&raw), text(&raw));
            prop_assert_eq!(line(&one), one.as_ref());
            prop_assert_eq!(text(&several), several.as_ref());
            let encoded = serde_json::to_string(&raw).unwrap();
            prop_assert!(!json(&encoded).chars().any(steers));
            prop_assert_eq!(serde_json::from_str::<String>(&json(&encoded)).unwrap(), raw);
        }
    }
}
