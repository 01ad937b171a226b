//! Writes frames so that they stay correct on terminals that disagree about the width of a character.
//!
//! Flags, families and other symbols of several code points have different widths on different terminals, tmux among them. Everything after
//! such a symbol would be displaced, and remains would stay when it is replaced. So the cursor is positioned explicitly after each of them,
//! and a row that contains or contained one is erased and rewritten completely when anything in it changes.

use std::collections::BTreeSet;
use std::io::{Result, Write};

use crossterm::cursor::MoveTo;
use crossterm::queue;
use crossterm::terminal::{Clear, ClearType as Wipe};
use ratatui::backend::{Backend, ClearType, CrosstermBackend, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// A terminal that frames are written to.
#[derive(Debug)]
pub(super) struct Steady<W: Write> {
    inner: CrosstermBackend<W>,
    /// The current content by row; missing cells at the end of a row are blank.
    rows: Vec<Vec<Cell>>,
    /// The rows that contain a symbol of disputed width.
    disputed: BTreeSet<u16>,
}

impl<W: Write> Steady<W> {
    pub(super) fn new(out: W) -> Self {
        Self { inner: CrosstermBackend::new(out), rows: Vec::new(), disputed: BTreeSet::new() }
    }

    fn put(&mut self, x: u16, y: u16, cell: &Cell) {
        let (x, y) = (usize::from(x), usize::from(y));
        if self.rows.len() <= y {
            self.rows.resize_with(y + 1, Vec::new);
        }
        let row = &mut self.rows[y];
        let end = x + cell.symbol().width().max(1);
        if row.len() < end {
            row.resize(end, Cell::EMPTY);
        }
        // Cells covered by a wide symbol have no content.
        row[x..end].fill(Cell::EMPTY);
        row[x] = cell.clone();
    }

    /// Erases a row and rewrites it piece by piece, each at its position.
    fn write_row(&mut self, y: u16) -> Result<()> {
        queue!(self.inner, MoveTo(0, y), Clear(Wipe::UntilNewLine))?;
        let row = &self.rows[usize::from(y)];
        let end = row.iter().rposition(|cell| *cell != Cell::EMPTY).map_or(0, |last| last + 1);
        let (mut piece, mut at) = (Vec::new(), 0);
        while at < end {
            let cell = &row[at];
            piece.push((u16::try_from(at).unwrap_or(u16::MAX), y, cell));
            if is_disputed(cell.symbol()) {
                self.inner.draw(piece.drain(..))?;
            }
            at += cell.symbol().width().max(1);
        }
        self.inner.draw(piece.into_iter())
    }

    fn forget(&mut self) {
        self.rows.clear();
        self.disputed.clear();
    }
}

/// Whether the width of a symbol is disputed: it has several code points other than combining marks.
fn is_disputed(symbol: &str) -> bool {
    const JOINER: char = '\u{200d}';
    let mut further = symbol.chars().skip(1).peekable();
    if further.peek().is_none() {
        return false;
    }
    let first = symbol.chars().next().and_then(UnicodeWidthChar::width).unwrap_or(0);
    symbol.width() != first || further.any(|c| c == JOINER || c.width() != Some(0))
}

impl<W: Write> Backend for Steady<W> {
    type Error = std::io::Error;

    fn draw<'a, I>(&mut self, content: I) -> Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let content: Vec<_> = content.collect();
        let mut whole = BTreeSet::new();
        for (x, y, cell) in &content {
            if is_disputed(cell.symbol()) {
                self.disputed.insert(*y);
            }
            if self.disputed.contains(y) {
                whole.insert(*y);
            }
            self.put(*x, *y, cell);
        }
        self.inner.draw(content.into_iter().filter(|(_, y, _)| !whole.contains(y)))?;
        for y in whole {
            self.write_row(y)?;
            if !self.rows[usize::from(y)].iter().any(|cell| is_disputed(cell.symbol())) {
                self.disputed.remove(&y);
            }
        }
        Ok(())
    }

    fn hide_cursor(&mut self) -> Result<()> {
        self.inner.hide_cursor()
    }

    fn show_cursor(&mut self) -> Result<()> {
        self.inner.show_cursor()
    }

    fn get_cursor_position(&mut self) -> Result<Position> {
        self.inner.get_cursor_position()
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> Result<()> {
        self.inner.set_cursor_position(position)
    }

    fn clear(&mut self) -> Result<()> {
        self.forget();
        self.inner.clear()
    }

    fn clear_region(&mut self, clear_type: ClearType) -> Result<()> {
        self.forget();
        self.inner.clear_region(clear_type)
    }

    fn size(&self) -> Result<Size> {
        self.inner.size()
    }

    fn window_size(&mut self) -> Result<WindowSize> {
        self.inner.window_size()
    }

    fn flush(&mut self) -> Result<()> {
        Backend::flush(&mut self.inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::buffer::Buffer;
    use ratatui::layout::Rect;

    /// The output that turns one frame into another.
    fn written(from: &str, to: &str) -> String {
        let picture = |text: &str| {
            let mut buffer = Buffer::empty(Rect::new(0, 0, 20, 2));
            buffer.set_string(0, 1, text, ratatui::style::Style::new());
            buffer
        };
        let (empty, from, to) = (picture(""), picture(from), picture(to));
        let mut out = Vec::new();
        let mut steady = Steady::new(&mut out);
        steady.draw(empty.diff(&from).into_iter()).unwrap();
        queue!(steady.inner, crossterm::style::Print("|")).unwrap();
        steady.draw(from.diff(&to).into_iter()).unwrap();
        let out = String::from_utf8(out).unwrap();
        out.split_once('|').unwrap().1.to_owned()
    }

    #[test]
    fn what_everybody_finds_as_wide_is_changed_in_place() {
        for plain in ["a", "é", "e\u{301}", "日", "ש", "👍", "שׁ"] {
            assert!(!is_disputed(plain), "{plain}");
        }
        assert!(!written("abc", "abd").contains("\u{1b}[K"));
    }

    #[test]
    fn a_row_with_a_disputed_sign_is_wiped_and_what_follows_it_is_put_in_its_place() {
        for sign in ["👩\u{200d}👩\u{200d}👧", "👩\u{200d}", "🇩🇪", "👍🏽", "❤\u{fe0f}"] {
            assert!(is_disputed(sign), "{sign}");
            let came = written("a", &format!("{sign}b"));
            assert!(came.contains("\u{1b}[2;1H\u{1b}[K"), "{came:?}");
            assert!(came.contains(&format!("{sign}\u{1b}")) && came.contains("\u{1b}[2;3Hb"), "{came:?}");
            let went = written(&format!("{sign}b"), "");
            assert!(went.contains("\u{1b}[2;1H\u{1b}[K") && !went.contains('b'), "{went:?}");
        }
    }
}
