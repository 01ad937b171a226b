//! What was drawn where, for the mouse.

use ratatui::layout::{Position, Rect};

/// Where the rows of the list are, for the mouse.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) area: Rect,
    pub(super) partners: Vec<String>,
}

impl Places {
    /// Whose row is there.
    pub(super) fn row_at(&self, column: u16, row: u16) -> Option<String> {
        let inside = self.area.contains(Position { x: column, y: row });
        inside.then(|| self.partners.get(usize::from(row - self.area.y)).cloned())?
    }
}
