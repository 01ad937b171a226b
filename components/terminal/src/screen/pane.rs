//! The open conversation: the messages that are loaded, and which of their rows are on the screen.
//!
//! Rows are counted from the newest, so that older ones loaded above move nothing.

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::theme::Look;
use super::wrap::{fit, wrap};
use crate::clean;
use crate::clock::{Day, Zone};
use crate::history::entry::{Entry, State, key_of};
use crate::history::read::Page;

/// Messages loaded at once. Overflow rule: while the newest are looked at the oldest are let go, and loaded again on the way back; while
/// older ones are looked at nothing older is loaded beyond this.
pub(crate) const LOADED: usize = 5000;
/// The widest column of names.
const NAME_WIDTH: usize = 16;

/// An open conversation.
#[derive(Debug)]
pub(super) struct Pane {
    pub(super) partner: String,
    key: String,
    entries: Vec<Entry>,
    /// The history holds older ones.
    more: bool,
    /// Rows below the last one on the screen.
    below: usize,
    /// The rows that fitted on the screen last.
    height: usize,
    /// The first message that was unseen when the conversation was opened.
    first_unseen: Option<i64>,
    /// Messages that came while older ones were looked at.
    pub(super) fresh: usize,
    /// The first row is on the screen, or would be.
    at_top: bool,
    /// Asked the server for what lies before this, or for anything at all.
    asked: Option<Option<u64>>,
    /// A message to show, found by a search.
    target: Option<i64>,
}

/// What is missing of a conversation, to be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Missing {
    /// Older ones, which the history holds.
    Kept,
    /// What the server has before this place, or its newest.
    Before(Option<u64>),
}

/// What a row needs to know of its surroundings.
pub(super) struct Frame<'a> {
    pub(super) look: Look,
    pub(super) zone: &'a Zone,
    pub(super) today: Day,
    pub(super) me: &'a str,
    pub(super) width: usize,
}

impl Pane {
    pub(super) fn new(page: Page, unseen: u64) -> Self {
        let unseen = usize::try_from(unseen).unwrap_or(usize::MAX);
        let incoming = page.entries.iter().rev().filter(|entry| !entry.outgoing);
        let first_unseen = incoming.take(unseen).last().map(|entry| entry.row);
        Self {
            key: key_of(&page.partner),
            partner: page.partner,
            entries: page.entries,
            more: page.more,
            below: 0,
            height: 0,
            first_unseen,
            fresh: 0,
            at_top: false,
            asked: None,
            target: None,
        }
    }

    pub(super) fn is_with(&self, partner: &str) -> bool {
        self.key == key_of(partner)
    }

    pub(super) fn is_following(&self) -> bool {
        self.below == 0
    }

    /// The place of the newest message of the server's log that is shown.
    pub(super) fn shown(&self) -> Option<u64> {
        self.is_following().then(|| self.entries.iter().filter_map(|entry| entry.seq).max())?
    }

    /// How many messages are loaded.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// A message, new or changed.
    pub(super) fn put(&mut self, entry: Entry) {
        match self.entries.iter().position(|known| known.row == entry.row) {
            Some(at) => {
                self.entries.remove(at);
            }
            None if !self.is_following() => self.fresh += 1,
            None => {}
        }
        let at = self.entries.partition_point(|known| known.place <= entry.place);
        self.entries.insert(at, entry);
        if self.is_following() && self.entries.len() > LOADED {
            self.entries.remove(0);
            self.more = true;
        }
    }

    /// The conversation as the history has it now, as far as it is loaded or further.
    pub(super) fn reload(&mut self, page: Page) {
        self.entries = page.entries;
        self.more = page.more;
    }

    /// Shows a message that is loaded.
    pub(super) fn find(&mut self, row: i64) {
        self.target = Some(row);
        self.first_unseen = None;
    }

    pub(super) fn scroll_up(&mut self, rows: usize) {
        self.below = self.below.saturating_add(rows);
    }

    pub(super) fn scroll_down(&mut self, rows: usize) {
        self.below = self.below.saturating_sub(rows);
        if self.is_following() {
            self.fresh = 0;
        }
    }

    /// A screenful, less two rows to find one's way.
    pub(super) fn screenful(&self) -> usize {
        self.height.saturating_sub(2).max(1)
    }

    /// What is to be loaded for what is looked at.
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

    /// The server may be asked again for what it was asked before.
    pub(super) fn forget_asking(&mut self) {
        self.asked = None;
    }

    /// The latest place in the log before which something is not loaded and not kept; `None` inside where nothing is known at all.
    fn hole(&self) -> Option<Option<u64>> {
        let mut next: Option<u64> = None;
        for seq in self.entries.iter().rev().filter_map(|entry| entry.seq) {
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

    /// The rows on the screen, the last one at the bottom.
    pub(super) fn rows(&mut self, frame: &Frame<'_>, height: usize) -> Vec<Line<'static>> {
        self.height = height;
        if let Some(row) = self.target.take() {
            self.below = self.rows_below(row, frame).saturating_sub(height / 2);
        }
        let mut rows = self.take_rows(frame, height);
        if rows.len() < height && self.below > 0 {
            // Scrolled past the first row.
            self.below = self.count(frame, usize::MAX).saturating_sub(height);
            rows = self.take_rows(frame, height);
        }
        self.at_top =
            rows.len() < height || self.below + height >= self.count(frame, self.below + height + 1);
        rows.reverse();
        rows
    }

    /// From the bottom up, those beyond `below`.
    fn take_rows(&self, frame: &Frame<'_>, height: usize) -> Vec<Line<'static>> {
        let mut rows = Vec::with_capacity(height);
        let mut skip = self.below;
        for at in (0..self.entries.len()).rev() {
            for row in self.message(at, frame).into_iter().rev() {
                if skip > 0 {
                    skip -= 1;
                } else if rows.len() < height {
                    rows.push(row);
                } else {
                    return rows;
                }
            }
        }
        rows
    }

    /// How many rows there are, counted no further than `enough`.
    fn count(&self, frame: &Frame<'_>, enough: usize) -> usize {
        let mut count = 0;
        for at in (0..self.entries.len()).rev() {
            count += self.message(at, frame).len();
            if count >= enough {
                break;
            }
        }
        count
    }

    fn rows_below(&self, row: i64, frame: &Frame<'_>) -> usize {
        let later = (0..self.entries.len()).rev().take_while(|at| self.entries[*at].row != row);
        later.map(|at| self.message(at, frame).len()).sum()
    }

    fn message(&self, at: usize, frame: &Frame<'_>) -> Vec<Line<'static>> {
        let entry = &self.entries[at];
        let moment = frame.zone.moment(entry.said);
        let mut rows = Vec::new();
        let day_before = at.checked_sub(1).map(|before| frame.zone.moment(self.entries[before].said).day);
        if day_before != Some(moment.day) {
            let day = if moment.day == frame.today { "today".to_owned() } else { moment.day.to_string() };
            rows.push(rule(&day, frame.width, frame.look.faint()));
        }
        if self.first_unseen == Some(entry.row) {
            rows.push(rule("new", frame.width, frame.look.news()));
        }
        let column = self.name_width(frame.me);
        let name = if entry.outgoing { frame.me.to_owned() } else { clean::one_line(&self.partner) };
        let name = fit(&name, column);
        let indent = 5 + 1 + 1 + 1 + column + 2;
        let look = frame.look;
        let (mark, mark_style) = mark(entry, look);
        let mut head = vec![
            Span::styled(moment.to_string(), look.faint()),
            Span::raw(" "),
            Span::styled(mark, mark_style),
            Span::raw(" "),
            Span::styled(name.clone(), look.name(&key_of(&name))),
            Span::raw(" ".repeat(column - name.width() + 2)),
        ];
        for text in body(entry, frame.width.saturating_sub(indent).max(8)) {
            let text = Span::styled(
                text,
                if entry.state == State::Waiting { look.faint() } else { look.body(entry.kind) },
            );
            if head.is_empty() {
                head.push(Span::raw(" ".repeat(indent)));
            }
            head.push(text);
            rows.push(Line::from(std::mem::take(&mut head)));
        }
        rows
    }

    fn name_width(&self, me: &str) -> usize {
        me.width().max(clean::one_line(&self.partner).width()).min(NAME_WIDTH)
    }
}

/// The rows of a message's text, and of what it carries.
fn body(entry: &Entry, width: usize) -> Vec<String> {
    let mut rows: Vec<String> = clean::lines(&entry.text).flat_map(|line| wrap(&line, width)).collect();
    if !entry.metadata.is_empty() {
        rows.extend(wrap(&clean::flatten(&entry.metadata.to_json()), width));
    }
    rows
}

/// What became of the user's own message.
fn mark(entry: &Entry, look: Look) -> (&'static str, Style) {
    match (entry.outgoing, entry.state) {
        (false, _) => (" ", Style::new()),
        (true, State::Waiting) => ("…", look.news()),
        (true, State::Stored) => ("✓", look.good()),
        (true, State::Refused) => ("✗", look.error()),
    }
}

/// A line across with a word in it.
fn rule(word: &str, width: usize, style: Style) -> Line<'static> {
    let word = format!(" {word} ");
    let rest = width.saturating_sub(word.width());
    let left = rest / 2;
    Line::styled(format!("{}{word}{}", "─".repeat(left), "─".repeat(rest - left)), style)
}
