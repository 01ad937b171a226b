//! Tables with aligned columns.

use super::output::{Colour, paint, sanitise};

/// Rows below a heading; a column is as wide as its widest cell.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<Cell>>,
}

/// A cell: sanitised text with an optional colour.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    text: String,
    colour: Option<Colour>,
    to_the_right: bool,
}

impl Cell {
    /// A text without colour.
    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self { text: sanitise(&text.into()), colour: None, to_the_right: false }
    }

    /// A text in a colour.
    pub(super) fn coloured(text: impl Into<String>, colour: Colour) -> Self {
        Self { text: sanitise(&text.into()), colour: Some(colour), to_the_right: false }
    }

    /// A number, aligned to the right.
    pub(super) fn number(text: impl Into<String>) -> Self {
        Self { text: sanitise(&text.into()), colour: None, to_the_right: true }
    }
}

impl Cell {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The colour, if colours are used.
    pub(super) fn colour(&self) -> Option<Colour> {
        self.colour
    }

    /// Whether it is aligned to the right.
    pub(super) fn is_number(&self) -> bool {
        self.to_the_right
    }
}

impl Table {
    /// A table with this heading.
    pub(super) fn new(heading: &[&str]) -> Self {
        Self { rows: vec![heading.iter().map(|text| Cell::plain(*text)).collect()] }
    }

    /// A table with a heading of cells.
    pub(super) fn headed(heading: Vec<Cell>) -> Self {
        Self { rows: vec![heading] }
    }

    pub(super) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// The lines, without trailing spaces.
    pub(super) fn lines(&self, coloured: bool) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column| {
            let cells = self.rows.iter().filter_map(|row: &Vec<Cell>| row.get(column));
            cells.map(|cell: &Cell| cell.text.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        self.rows.iter().map(|row| render(row, &widths, coloured)).collect()
    }
}

fn render(row: &[Cell], widths: &[usize], coloured: bool) -> String {
    let mut line = String::new();
    for (index, (cell, width)) in row.iter().zip(widths).enumerate() {
        if index > 0 {
            line.push_str("  ");
        }
        let room = width - cell.text.chars().count();
        if cell.to_the_right {
            line.extend(std::iter::repeat_n(' ', room));
        }
        line.push_str(&cell.colour.map_or_else(|| cell.text.clone(), |c| paint(&cell.text, c, coloured)));
        let is_last = row[index + 1..].iter().all(|cell| cell.text.is_empty());
        if is_last {
            break;
        }
        if !cell.to_the_right {
            line.extend(std::iter::repeat_n(' ', room));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_end_where_their_text_does() {
        let mut table = Table::new(&["A", "LONG", "C"]);
        table.row(vec![Cell::plain("wide"), Cell::coloured("x", Colour::Red), Cell::plain("")]);
        assert_eq!(table.lines(false), ["A     LONG  C", "wide  x"]);
        assert_eq!(table.lines(true)[1], "wide  \x1b[31mx\x1b[0m");
        let mut table = Table::headed(vec![Cell::number("N"), Cell::plain("B")]);
        table.row(vec![Cell::number("123"), Cell::plain("y")]);
        assert_eq!(table.lines(false), ["  N  B", "123  y"]);
    }
}
