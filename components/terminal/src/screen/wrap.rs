//! Wraps text by its display width.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// The rows of one line of text: wrapped at spaces if possible, inside words if necessary. Never empty.
pub(super) fn wrap(line: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut rows = Vec::new();
    let (mut row, mut used) = (String::new(), 0);
    for word in pieces(line) {
        let wide = word.width();
        if used + wide <= width {
            row.push_str(word);
            used += wide;
            continue;
        }
        if word.trim().is_empty() {
            // The space at a line break is dropped.
            rows.push(std::mem::take(&mut row));
            used = 0;
            continue;
        }
        // A link keeps as much of itself together as a row holds.
        if used > 0 && (wide <= width || word.contains("://")) {
            rows.push(std::mem::take(&mut row).trim_end().to_owned());
            used = 0;
        }
        for piece in word.graphemes(true) {
            let wide = piece.width();
            if used + wide > width && used > 0 {
                rows.push(std::mem::take(&mut row));
                used = 0;
            }
            row.push_str(piece);
            used += wide;
        }
    }
    rows.push(row);
    rows
}

/// The pieces between which a row may break: words with adjacent punctuation, spaces, and each wide character by itself, for scripts
/// without spaces. (A simplification of UAX #14.)
fn pieces(line: &str) -> Vec<&str> {
    const CLOSING: &str = "、。，．！？：；）」』】〉》〕…";
    const OPENING: &str = "（「『【〈《〔";
    let is_space = |piece: &str| piece.trim().is_empty();
    let mut pieces = Vec::new();
    let (mut start, mut before) = (0, "");
    for (at, piece) in line.grapheme_indices(true) {
        let wide = (before.width() > 1 || piece.width() > 1)
            && !CLOSING.contains(piece)
            && !OPENING.contains(before);
        if at > start && (is_space(piece) != is_space(before) || wide) {
            pieces.push(&line[start..at]);
            start = at;
        }
        before = piece;
    }
    pieces.push(&line[start..]);
    pieces
}

/// A text truncated to a width, with `…` if something is missing.
pub(super) fn fit(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 1;
    for piece in text.graphemes(true) {
        used += piece.width();
        if used > width {
            break;
        }
        kept.push_str(piece);
    }
    if width > 0 { format!("{kept}…") } else { kept }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rows_break_at_spaces_and_inside_words_that_are_too_long() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("", 7), [""]);
        assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("日本語です", 4), ["日本", "語で", "す"]);
        assert_eq!(wrap("a 👩\u{200d}👩\u{200d}👧 b", 4), ["a 👩\u{200d}👩\u{200d}👧", "b"]);
        assert_eq!(
            wrap("say hi, /to bob", 6),
            ["say", "hi,", "/to", "bob"],
            "punctuation clings to its word"
        );
        assert_eq!(
            wrap("see https://example.org/a?b=c now", 10),
            ["see", "https://ex", "ample.org/", "a?b=c now"]
        );
        assert_eq!(wrap("日本語。「です」", 6), ["日本", "語。", "「で", "す」"]);
        assert_eq!(fit("conversation", 6), "conve…");
        assert_eq!(fit("日本語", 4), "日…");
    }

    proptest! {
        #[test]
        fn no_row_is_too_wide_and_no_word_is_lost(line in "[a-z 日é👍]{0,60}", width in 2usize..20) {
            let rows = wrap(&line, width);
            prop_assert!(rows.iter().all(|row| row.width() <= width), "{rows:?}");
            let letters = |text: &str| text.chars().filter(|c| *c != ' ').collect::<String>();
            prop_assert_eq!(letters(&rows.concat()), letters(&line));
        }
    }
}
