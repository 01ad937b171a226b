//! The open conversation: the loaded messages, and which of their rows are or were visible.
//!
//! Rows are counted from the newest, so that loading older ones moves nothing; neither do new messages while older ones are visible. No new
//! message is skipped: if more arrives than fits, the view stays at the first of it.

use std::cell::Cell;

use ratatui::text::Line;

pub(super) use super::message::Frame;
use super::message::{self, Place};
use crate::history::entry::{Entry, key_of};
use crate::history::read::Page;

/// Most loaded messages. Overflow rule: while the newest are visible, the oldest are unloaded and reloaded on the way back; while older
/// ones are visible, no more are loaded beyond this, and from twice as many on the oldest are unloaded.
pub(crate) const LOADED: usize = 5000;

/// An open conversation.
#[derive(Debug)]
pub(super) struct Pane {
    pub(super) partner: String,
    key: String,
    entries: Vec<Loaded>,
    /// Whether the history has older messages.
    more: bool,
    /// The number of rows below the visible ones.
    below: usize,
    /// The bottom of the last frame.
    bottom: Option<Bottom>,
    /// The height of the last frame in rows.
    height: usize,
    /// The first unread message when the conversation was opened.
    first_new: Option<i64>,
    /// The `seq` of the newest message that was visible with the focus.
    reached: u64,
    /// Whether the first row is visible.
    at_top: bool,
    /// The last request to the server: before this `seq`, or for the newest.
    asked: Option<Option<u64>>,
    /// The selected search result, and whether it must still be scrolled into view.
    found: Option<(i64, bool)>,
}

/// A message with its cached number of rows at a width, which is expensive to compute.
#[derive(Debug)]
struct Loaded {
    entry: Entry,
    height: Cell<Option<(usize, usize)>>,
}

impl From<Entry> for Loaded {
    fn from(entry: Entry) -> Self {
        Self { entry, height: Cell::new(None) }
    }
}

/// The last visible message of a frame, its rows below the frame, and the total of rows.
#[derive(Debug, Clone, Copy)]
struct Bottom {
    row: i64,
    hidden: usize,
    below: usize,
}

/// What must be loaded of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Missing {
    /// Older messages from the history.
    Kept,
    /// Messages from the server before this `seq`, or its newest.
    Before(Option<u64>),
}

impl Pane {
    /// Opens a page with `unseen` unread messages.
    pub(super) fn new(page: Page, unseen: u64) -> Self {
        let unseen = usize::try_from(unseen).unwrap_or(usize::MAX);
        let said = page.entries.iter().rev().filter(|entry| !entry.outgoing && entry.seq.is_some());
        let first = said.take(unseen).last();
        let mut pane = Self {
            key: key_of(&page.partner),
            first_new: first.map(|entry| entry.row),
            reached: first.and_then(|entry| entry.seq).map_or(u64::MAX, |seq| seq.saturating_sub(1)),
            partner: page.partner,
            entries: page.entries.into_iter().map(Loaded::from).collect(),
            more: page.more,
            below: 0,
            bottom: None,
            height: 0,
            at_top: false,
            asked: None,
            found: None,
        };
        pane.reached = pane.reached.min(pane.newest());
        pane
    }

    pub(super) fn is_with(&self, partner: &str) -> bool {
        self.key == key_of(partner)
    }

    pub(super) fn is_following(&self) -> bool {
        self.below == 0
    }

    /// The `seq` up to which everything was visible; 0 for none.
    pub(super) fn reached(&self) -> u64 {
        self.reached
    }

    /// The number of unread messages that were not visible yet.
    pub(super) fn unseen(&self) -> usize {
        self.unreached().count()
    }

    /// Newest first.
    fn unreached(&self) -> impl Iterator<Item = (usize, &Entry)> {
        let entries = self.entries().enumerate().rev();
        let new = entries.take_while(|(_, entry)| entry.seq.is_none_or(|seq| seq > self.reached));
        new.filter(|(_, entry)| !entry.outgoing && entry.seq.is_some())
    }

    fn entries(&self) -> impl ExactSizeIterator<Item = &Entry> + DoubleEndedIterator {
        self.entries.iter().map(|loaded| &loaded.entry)
    }

    fn newest(&self) -> u64 {
        self.entries().filter_map(|entry| entry.seq).max().unwrap_or(0)
    }

    /// The number of loaded messages.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Adds or updates a message; `looked_at` if the terminal has the focus.
    pub(super) fn put(&mut self, entry: Entry, looked_at: bool) {
        let known = self.entries().position(|known| known.row == entry.row);
        if let Some(at) = known {
            self.entries.remove(at);
        } else if !entry.outgoing && !looked_at && self.unreached().next().is_none() {
            self.first_new = Some(entry.row);
        }
        let at = self.entries.partition_point(|known| known.entry.place <= entry.place);
        self.entries.insert(at, entry.into());
        let most = if self.is_following() { LOADED } else { 2 * LOADED };
        if self.entries.len() > most {
            self.entries.remove(0);
            self.more = true;
        }
    }

    /// Replaces the loaded messages by those of the history, at least as many.
    pub(super) fn reload(&mut self, page: Page) {
        self.entries = page.entries.into_iter().map(Loaded::from).collect();
        self.more = page.more;
        // A replaced log counts from 1 again.
        self.reached = self.reached.min(self.newest());
    }

    /// Scrolls to a loaded message.
    pub(super) fn find(&mut self, row: i64) {
        self.found = Some((row, true));
    }

    pub(super) fn scroll_up(&mut self, rows: usize) {
        self.below = self.below.saturating_add(rows);
    }

    /// Scrolling to the newest counts everything in between as seen.
    pub(super) fn scroll_down(&mut self, rows: usize) {
        self.below = self.below.saturating_sub(rows);
        if self.is_following() {
            self.reached = self.newest();
            self.found = None;
        }
    }

    /// A screenful, with two rows of overlap.
    pub(super) fn screenful(&self) -> usize {
        self.height.saturating_sub(2).max(1)
    }

    /// What must be loaded for the visible part.
    pub(super) fn missing(&mut self, connected: bool) -> Option<Missing> {
        let hole = self.hole();
        if let (Some(before), true) = (hole, connected)
            && self.asked != Some(before)
        {
            self.asked = Some(before);
            return Some(Missing::Before(before));
        }
        (self.at_top && self.more && self.entries.len() < LOADED).then_some(Missing::Kept)
    }

    /// Allows the last request to be repeated.
    pub(super) fn forget_asking(&mut self) {
        self.asked = None;
    }

    /// The latest `seq` before which messages are neither loaded nor stored; `Some(None)` if nothing is known.
    fn hole(&self) -> Option<Option<u64>> {
        let mut next: Option<u64> = None;
        for seq in self.entries().rev().filter_map(|entry| entry.seq) {
            if next.is_some_and(|next| seq + 1 < next) {
                return Some(next);
            }
            next = Some(seq);
        }
        match next {
            None if !self.more => Some(None),
            Some(first) if first > 1 && !self.more && self.at_top => Some(Some(first)),
            _ => None,
        }
    }

    /// The visible rows, the last one at the bottom.
    pub(super) fn rows(&mut self, frame: &Frame<'_>, height: usize) -> Vec<Line<'static>> {
        self.height = height;
        match self.found {
            Some((row, true)) => {
                self.found = Some((row, false));
                self.below = self.rows_below(row, frame).saturating_sub(height / 2);
            }
            _ if self.is_following() => self.wait_for_reader(frame, height),
            _ => self.stay(frame),
        }
        let counted = self.count(frame, self.below.saturating_add(height + 1));
        let most = counted.saturating_sub(height);
        self.at_top = self.below >= most;
        self.below = self.below.min(most);
        self.take_rows(frame, height)
    }

    /// If more is new than fits, scrolls to the first of it.
    fn wait_for_reader(&mut self, frame: &Frame<'_>, height: usize) {
        let Some((first, row)) = self.unreached().last().map(|(at, entry)| (at, entry.row)) else { return };
        let rows = |pane: &Self| (first..pane.entries.len()).map(|at| pane.height(at, frame)).sum();
        let wanted: usize = rows(self);
        if wanted > height {
            self.first_new = Some(row);
            let wanted: usize = rows(self);
            self.below = wanted - height;
        }
    }

    /// Keeps the position when messages are added below or the width changes.
    fn stay(&mut self, frame: &Frame<'_>) {
        if let Some(bottom) = self.bottom {
            let now = self.rows_below(bottom.row, frame) + bottom.hidden;
            self.below = (now + self.below).saturating_sub(bottom.below);
        }
    }

    /// The rows above `below`; their messages count as seen.
    fn take_rows(&mut self, frame: &Frame<'_>, height: usize) -> Vec<Line<'static>> {
        let mut rows = Vec::with_capacity(height);
        let mut below = 0;
        self.bottom = None;
        for at in (0..self.entries.len()).rev() {
            let mut message = self.message(at, frame);
            let hidden = self.below.saturating_sub(below).min(message.len());
            below += hidden;
            message.truncate(message.len() - hidden);
            if message.is_empty() {
                continue;
            }
            let entry = &self.entries[at].entry;
            self.bottom.get_or_insert(Bottom { row: entry.row, hidden, below: self.below });
            if frame.focused && hidden == 0 {
                self.reached = self.reached.max(entry.seq.unwrap_or(0));
            }
            rows.extend(message.into_iter().rev());
            if rows.len() >= height {
                break;
            }
        }
        rows.truncate(height);
        rows.reverse();
        rows
    }

    /// The number of rows, counted up to `enough`.
    fn count(&self, frame: &Frame<'_>, enough: usize) -> usize {
        let mut count = 0;
        for at in (0..self.entries.len()).rev() {
            count += self.height(at, frame);
            if count >= enough {
                break;
            }
        }
        count
    }

    fn rows_below(&self, row: i64, frame: &Frame<'_>) -> usize {
        let later = (0..self.entries.len()).rev().take_while(|at| self.entries[*at].entry.row != row);
        later.map(|at| self.height(at, frame)).sum()
    }

    fn height(&self, at: usize, frame: &Frame<'_>) -> usize {
        let Loaded { entry, height } = &self.entries[at];
        let own = match height.get() {
            Some((width, height)) if width == frame.width => height,
            Some(_) | None => message::rows(entry, Place::default(), frame).len(),
        };
        height.set(Some((frame.width, own)));
        own + self.place(at, frame).rows()
    }

    fn message(&self, at: usize, frame: &Frame<'_>) -> Vec<Line<'static>> {
        message::rows(&self.entries[at].entry, self.place(at, frame), frame)
    }

    fn place(&self, at: usize, frame: &Frame<'_>) -> Place {
        let entry = &self.entries[at].entry;
        let day = |entry: &Entry| frame.zone.moment(entry.said).day;
        Place {
            begins_day: at.checked_sub(1).is_none_or(|before| day(&self.entries[before].entry) != day(entry)),
            begins_news: self.first_new == Some(entry.row),
            found: self.found.is_some_and(|(row, _)| row == entry.row),
        }
    }
}
