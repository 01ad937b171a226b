//! Search results, one message per row.

use crate::history::entry::Entry;

/// Messages found, the latest last.
#[derive(Debug)]
pub(super) struct Results {
    pub(super) text: String,
    pub(super) entries: Vec<Entry>,
    pub(super) selected: usize,
}

impl Results {
    pub(super) fn new(text: String, entries: Vec<Entry>) -> Self {
        let selected = entries.len().saturating_sub(1);
        Self { text, entries, selected }
    }

    pub(super) fn up(&mut self, rows: usize) {
        self.selected = self.selected.saturating_sub(rows);
    }

    pub(super) fn down(&mut self, rows: usize) {
        self.selected = (self.selected + rows).min(self.entries.len().saturating_sub(1));
    }

    pub(super) fn chosen(&self) -> Option<Entry> {
        self.entries.get(self.selected).cloned()
    }
}
