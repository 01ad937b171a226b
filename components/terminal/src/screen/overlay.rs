//! Overlays over the conversation, and drawing them.

use protocol::UserName;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::{Clear, Widget};
use unicode_width::UnicodeWidthStr;

use super::reading::Reading;
use super::results::Results;
use super::theme::Look;
use super::wrap::fit;
use crate::clean;
use crate::clock::Zone;

/// An overlay over the conversation.
#[derive(Debug)]
pub(super) enum Overlay {
    None,
    Help(Reading),
    /// Lines that answer a command.
    Answers(Reading),
    Results(Results),
}

impl Overlay {
    /// Draws the overlay for `me`.
    pub(super) fn draw(&mut self, me: &UserName, zone: &Zone, look: Look, area: Rect, buffer: &mut Buffer) {
        match self {
            Self::None => {}
            Self::Help(help) => read("Help; Esc closes it", help, look, area, buffer),
            Self::Answers(answers) => read("Esc closes this", answers, look, area, buffer),
            Self::Results(results) => {
                let (title, lines) = found(results, zone, me, look, area);
                boxed(&title, &lines, look, area, buffer);
            }
        }
    }
}

/// The title and the rows of search results.
fn found(
    results: &Results,
    zone: &Zone,
    me: &UserName,
    look: Look,
    area: Rect,
) -> (String, Vec<Line<'static>>) {
    let room = room(area).max(1);
    let first = (results.selected + 1).saturating_sub(room);
    let shown = results.entries.iter().enumerate().skip(first).take(room);
    let lines = shown.map(|(at, entry)| {
        let moment = zone.moment(entry.said);
        let partner = clean::one_line(&entry.partner);
        let who = if entry.outgoing { format!("{me} → {partner}") } else { partner };
        let text = format!("{} {moment}  {who}: {}", moment.day.short(), clean::flatten(&entry.text));
        let text = fit(&text, usize::from(area.width).saturating_sub(4));
        Line::styled(text, if at == results.selected { look.selected() } else { Style::new() })
    });
    let title = match results.entries.len() {
        0 => format!("No local messages match '{}'; Esc", results.text),
        n => format!("{n} with '{}'; Up, Down, Enter goes there, Esc", results.text),
    };
    (clean::one_line(&title), lines.collect())
}

/// The rows between the rules above and below.
fn room(area: Rect) -> usize {
    usize::from(area.height).saturating_sub(2)
}

fn read(title: &str, reading: &mut Reading, look: Look, area: Rect, buffer: &mut Buffer) {
    let rows = reading.rows(usize::from(area.width).saturating_sub(2), room(area));
    let lines: Vec<Line<'_>> = rows.into_iter().map(Line::raw).collect();
    let scrolls = if reading.scrolls() { "; Up, Down" } else { "" };
    boxed(&format!("{title}{scrolls}"), &lines, look, area, buffer);
}

fn boxed(title: &str, lines: &[Line<'_>], look: Look, area: Rect, buffer: &mut Buffer) {
    let wanted = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let area = Rect { height: wanted.min(area.height), ..area };
    Clear.render(area, buffer);
    let width = usize::from(area.width);
    let title = fit(&format!("─ {title} "), width);
    let rest = "─".repeat(width.saturating_sub(title.width()));
    buffer.set_stringn(area.x, area.y, format!("{title}{rest}"), width, look.bold());
    for (y, line) in (area.y + 1..(area.y + area.height).saturating_sub(1)).zip(lines) {
        buffer.set_line(area.x + 1, y, line, area.width.saturating_sub(2));
    }
    let last = area.y + area.height - 1;
    buffer.set_stringn(area.x, last, "─".repeat(width), width, look.faint());
}
