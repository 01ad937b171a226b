//! The input line: a text and a cursor that moves by grapheme clusters.

use protocol::limits::BODY_BYTES;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::clean;

/// Longest input in bytes: a message and the name before it. Overflow rule: further input is rejected.
const LIMIT: usize = BODY_BYTES + 256;

/// The input line.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Composer {
    text: String,
    /// In bytes, at a character boundary.
    cursor: usize,
}

impl Composer {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The text before the cursor.
    pub(super) fn before(&self) -> &str {
        &self.text[..self.cursor]
    }

    pub(super) fn set(&mut self, text: String) {
        self.cursor = text.len();
        self.text = text;
    }

    pub(super) fn take(&mut self) -> String {
        self.cursor = 0;
        std::mem::take(&mut self.text)
    }

    /// Inserts typed or pasted text without control characters. Returns whether there was room for it.
    pub(super) fn insert(&mut self, text: &str) -> bool {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let lines: Vec<String> = clean::lines(&text).collect();
        let text = lines.join("\n");
        let fits = self.text.len() + text.len() <= LIMIT;
        if fits {
            self.text.insert_str(self.cursor, &text);
            self.cursor += text.len();
        }
        fits
    }

    /// Replaces the text between `from` and the cursor with a completion.
    pub(super) fn complete(&mut self, from: usize, with: &str) {
        self.text.replace_range(from..self.cursor, with);
        self.cursor = from + with.len();
    }

    fn left_of_cursor(&self) -> usize {
        self.before().grapheme_indices(true).next_back().map_or(0, |(at, _)| at)
    }

    fn right_of_cursor(&self) -> usize {
        let next = self.text[self.cursor..].graphemes(true).next();
        self.cursor + next.map_or(0, str::len)
    }

    fn word_left_of_cursor(&self) -> usize {
        let mut words = self.before().unicode_word_indices();
        words.next_back().map_or(0, |(at, _)| at)
    }

    fn word_right_of_cursor(&self) -> usize {
        let after = &self.text[self.cursor..];
        let word = after.unicode_word_indices().next();
        word.map_or(self.text.len(), |(at, word)| self.cursor + at + word.len())
    }

    fn line_start(&self) -> usize {
        self.before().rfind('\n').map_or(0, |at| at + 1)
    }

    fn line_end(&self) -> usize {
        self.text[self.cursor..].find('\n').map_or(self.text.len(), |at| self.cursor + at)
    }

    pub(super) fn left(&mut self) {
        self.cursor = self.left_of_cursor();
    }

    pub(super) fn right(&mut self) {
        self.cursor = self.right_of_cursor();
    }

    pub(super) fn word_left(&mut self) {
        self.cursor = self.word_left_of_cursor();
    }

    pub(super) fn word_right(&mut self) {
        self.cursor = self.word_right_of_cursor();
    }

    pub(super) fn home(&mut self) {
        self.cursor = self.line_start();
    }

    pub(super) fn end(&mut self) {
        self.cursor = self.line_end();
    }

    /// Moves to the line above. Returns whether there is one.
    pub(super) fn up(&mut self) -> bool {
        let start = self.line_start();
        let Some(above) = start.checked_sub(1) else { return false };
        let from = self.text[..above].rfind('\n').map_or(0, |at| at + 1);
        self.cursor = self.same_column(start, from..above);
        true
    }

    /// Moves to the line below. Returns whether there is one.
    pub(super) fn down(&mut self) -> bool {
        let below = self.line_end() + 1;
        if below > self.text.len() {
            return false;
        }
        let end = self.text[below..].find('\n').map_or(self.text.len(), |at| below + at);
        self.cursor = self.same_column(self.line_start(), below..end);
        true
    }

    /// The position in another line with the same number of characters before it as in the line that starts here.
    fn same_column(&self, start: usize, other: std::ops::Range<usize>) -> usize {
        let column = self.text[start..self.cursor].graphemes(true).count();
        let mut characters = self.text[other.clone()].grapheme_indices(true);
        characters.nth(column).map_or(other.end, |(at, _)| other.start + at)
    }

    fn remove(&mut self, from: usize, to: usize) {
        self.text.replace_range(from..to, "");
        self.cursor = from;
    }

    pub(super) fn backspace(&mut self) {
        self.remove(self.left_of_cursor(), self.cursor);
    }

    pub(super) fn delete(&mut self) {
        self.remove(self.cursor, self.right_of_cursor());
    }

    pub(super) fn delete_word(&mut self) {
        self.remove(self.word_left_of_cursor(), self.cursor);
    }

    pub(super) fn delete_word_on(&mut self) {
        self.remove(self.cursor, self.word_right_of_cursor());
    }

    pub(super) fn delete_to_start(&mut self) {
        self.remove(self.line_start(), self.cursor);
    }

    pub(super) fn delete_to_end(&mut self) {
        self.remove(self.cursor, self.line_end());
    }

    /// The rows at a width, and the cursor's row and column.
    pub(super) fn rows(&self, width: usize) -> (Vec<String>, (usize, usize)) {
        let width = width.max(2);
        let mut rows = vec![String::new()];
        let (mut used, mut cursor) = (0, (0, 0));
        for (at, piece) in self.text.grapheme_indices(true) {
            let wide = piece.width();
            if piece != "\n" && used + wide > width {
                rows.push(String::new());
                used = 0;
            }
            if at == self.cursor {
                cursor = (rows.len() - 1, used);
            }
            if piece == "\n" {
                rows.push(String::new());
                used = 0;
                continue;
            }
            rows.last_mut().expect("there is a row from the beginning").push_str(piece);
            used += wide;
        }
        if self.cursor == self.text.len() {
            if used >= width {
                rows.push(String::new());
                used = 0;
            }
            cursor = (rows.len() - 1, used);
        }
        (rows, cursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(text: &str) -> Composer {
        let mut composer = Composer::default();
        composer.insert(text);
        composer
    }

    #[test]
    fn the_cursor_moves_by_characters_and_words_as_people_see_them() {
        let mut composer = written("one e\u{301}👩\u{200d}👧 three");
        composer.word_left();
        composer.left();
        composer.backspace();
        assert_eq!(composer.text(), "one e\u{301} three");
        composer.backspace();
        assert_eq!(composer.text(), "one  three");
        composer.home();
        composer.word_right();
        composer.delete_to_end();
        assert_eq!(composer.text(), "one");
        composer.delete_word();
        assert!(composer.is_empty());
    }

    #[test]
    fn up_and_down_stay_in_their_column_and_stop_at_the_ends() {
        let mut composer = written("one\n日本語です\n\nlast");
        assert!(!composer.down());
        assert!(composer.up() && composer.up());
        assert_eq!(composer.before(), "one\n");
        composer.right();
        composer.right();
        assert!(composer.up());
        assert_eq!(composer.before(), "on");
        assert!(!composer.up());
        assert!(composer.down() && composer.down() && composer.down());
        assert_eq!(composer.before(), "one\n日本語です\n\n");
        composer.delete_word_on();
        assert_eq!(composer.text(), "one\n日本語です\n\n");
    }

    #[test]
    fn what_is_pasted_keeps_its_lines_and_loses_its_orders() {
        let composer = written("a\r\nb\u{1b}[2J\tc\u{7}");
        assert_eq!(composer.text(), "a\nb[2J c");
        assert_eq!(composer.rows(10), (vec!["a".to_owned(), "b[2J c".to_owned()], (1, 6)));
        let mut full = written(&"x".repeat(LIMIT));
        assert!(!full.insert("y"));
        assert_eq!(full.text().len(), LIMIT);
    }

    #[test]
    fn rows_are_as_wide_as_the_terminal_shows_them() {
        let composer = written("日本語");
        assert_eq!(composer.rows(4), (vec!["日本".to_owned(), "語".to_owned()], (1, 2)));
        assert_eq!(written("abcd").rows(4).1, (1, 0), "the cursor needs a place");
    }

    proptest! {
        #[test]
        fn no_key_breaks_the_text(text in "\\PC{0,20}", keys in proptest::collection::vec(0u8..15, 0..60)) {
            let mut composer = written(&text);
            for key in keys {
                match key {
                    0 => composer.left(), 1 => composer.right(), 2 => composer.word_left(), 3 => composer.word_right(),
                    4 => composer.home(), 5 => composer.end(), 6 => composer.backspace(), 7 => composer.delete(),
                    8 => composer.delete_word(), 9 => composer.delete_to_start(), 10 => composer.delete_to_end(),
                    11 => composer.delete_word_on(), 12 => drop(composer.up()), 13 => drop(composer.down()),
                    _ => drop(composer.insert("é\n👍")),
                }
                prop_assert!(composer.text.is_char_boundary(composer.cursor));
                let (rows, (row, _)) = composer.rows(5);
                prop_assert!(row < rows.len());
            }
        }
    }
}
