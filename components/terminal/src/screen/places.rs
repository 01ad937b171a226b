//! The areas of the last frame, for mouse clicks.

use ratatui::layout::{Position, Rect};

/// The area of the list.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) area: Rect,
    pub(super) partners: Vec<String>,
}

impl Places {
    /// The partner of the row at this position.
    pub(super) fn row_at(&self, column: u16, row: u16) -> Option<String> {
        let inside = self.area.contains(Position { x: column, y: row });
        inside.then(|| self.partners.get(usize::from(row - self.area.y)).cloned())?
    }
}
