//! Formats one message: its rows, and the rules above it.

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::theme::Look;
use super::wrap::{fit, wrap};
use crate::clean;
use crate::clock::{Day, Zone};
use crate::history::entry::{Entry, State, key_of};

/// The widest column of names.
const NAME_WIDTH: usize = 16;
/// Narrowest pane with a column of names; in narrower ones the text is below the name.
const COLUMNS_FROM: usize = 36;

/// The context for formatting.
pub(super) struct Frame<'a> {
    pub(super) look: Look,
    pub(super) zone: &'a Zone,
    pub(super) today: Day,
    pub(super) me: &'a str,
    pub(super) width: usize,
    /// Whether the terminal has the focus.
    pub(super) focused: bool,
}

/// A message's relation to its neighbours.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    /// It is the first of its day.
    pub(super) begins_day: bool,
    /// It is the first unread message.
    pub(super) begins_news: bool,
    /// It is the selected search result.
    pub(super) found: bool,
}

impl Place {
    /// The number of rows above the message.
    pub(super) fn rows(self) -> usize {
        usize::from(self.begins_day) + usize::from(self.begins_news)
    }
}

/// The rows of a message.
pub(super) fn rows(entry: &Entry, place: Place, frame: &Frame<'_>) -> Vec<Line<'static>> {
    let look = frame.look;
    let day = frame.zone.moment(entry.said).day;
    let mut rows = Vec::new();
    if place.begins_day {
        let day = if day == frame.today { "today".to_owned() } else { day.to_string() };
        rows.push(rule(&day, frame.width, look.faint()));
    }
    if place.begins_news {
        rows.push(rule("new", frame.width, look.news()));
    }
    let is_narrow = frame.width < COLUMNS_FROM;
    let (mut head, column) = head(entry, place.found, is_narrow, frame);
    let indent = if is_narrow { 1 } else { column };
    if is_narrow {
        rows.push(Line::from(std::mem::take(&mut head)));
    }
    let style = if entry.state == State::Waiting { look.faint() } else { look.body(entry.kind) };
    for text in body(entry, frame.width.saturating_sub(indent)) {
        if head.is_empty() {
            head.push(Span::raw(" ".repeat(indent)));
        }
        head.push(Span::styled(text, style));
        rows.push(Line::from(std::mem::take(&mut head)));
    }
    rows
}

/// The time, delivery state and sender, and their width.
fn head(entry: &Entry, found: bool, is_narrow: bool, frame: &Frame<'_>) -> (Vec<Span<'static>>, usize) {
    let look = frame.look;
    let time = frame.zone.moment(entry.said).to_string();
    let (mark, mark_style) = mark(entry, look);
    let partner = clean::one_line(&entry.partner);
    let room = if is_narrow {
        frame.width.saturating_sub(time.width() + 3)
    } else {
        frame.me.width().max(partner.width()).min(NAME_WIDTH)
    };
    let name = fit(if entry.outgoing { frame.me } else { &partner }, room);
    let space = if is_narrow { String::new() } else { " ".repeat(room - name.width() + 2) };
    let column = time.width() + 3 + name.width() + space.width();
    let head = vec![
        Span::styled(time, if found { look.selected() } else { look.faint() }),
        Span::raw(" "),
        Span::styled(mark, mark_style),
        Span::raw(" "),
        Span::styled(name.clone(), look.name(&key_of(&name))),
        Span::raw(space),
    ];
    (head, column)
}

/// The rows of a message's text and metadata.
fn body(entry: &Entry, width: usize) -> Vec<String> {
    let mut rows: Vec<String> = clean::lines(&entry.text).flat_map(|line| wrap(&line, width)).collect();
    let metadata = entry.metadata.shown();
    if !metadata.is_empty() {
        rows.extend(wrap(&clean::flatten(&metadata.to_json()), width));
    }
    rows
}

/// The delivery state of an own message.
fn mark(entry: &Entry, look: Look) -> (&'static str, Style) {
    match (entry.outgoing, entry.state) {
        (false, _) => (" ", Style::new()),
        (true, State::Waiting) => ("…", look.news()),
        (true, State::Stored) => ("✓", look.good()),
        (true, State::Refused) => ("✗", look.error()),
    }
}

/// A horizontal rule with a label.
fn rule(word: &str, width: usize, style: Style) -> Line<'static> {
    let word = fit(&format!(" {word} "), width);
    let rest = width.saturating_sub(word.width());
    let left = rest / 2;
    Line::styled(format!("{}{word}{}", "─".repeat(left), "─".repeat(rest - left)), style)
}
