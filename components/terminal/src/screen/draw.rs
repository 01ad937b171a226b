//! Draws the screen into a buffer.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::pane::Frame as PaneFrame;
use super::places::Places;
use super::state::{Connection, Screen};
use super::wrap::{fit, wrap};
use crate::clean;

/// Narrowest screen with the list of conversations.
const LIST_FROM: u16 = 50;
/// Most rows of the input line.
const WRITING: u16 = 6;
/// Most rows of notices.
const NOTICE: usize = 4;

impl Screen {
    /// Draws everything.
    pub(crate) fn draw(&mut self, frame: &mut Frame<'_>) {
        self.dirty = false;
        let area = frame.area();
        if area.width < 10 || area.height < 4 {
            return;
        }
        let (rows, (row, column)) = self.composer.rows(usize::from(area.width) - 2);
        let writing = u16::try_from(rows.len()).unwrap_or(u16::MAX).min(WRITING).min(area.height - 3);
        let writing_area = Rect { y: area.y + area.height - writing, height: writing, ..area };
        let room = usize::from(writing_area.y - area.y - 1);
        let notice_height = self.notice_rows(usize::from(area.width), room).0.len();
        let height = u16::try_from(notice_height).unwrap_or(1);
        let notice_area = Rect { y: writing_area.y - height, height, ..area };
        let main = Rect { y: area.y + 1, height: notice_area.y - area.y - 1, ..area };
        self.head(Rect { height: 1, ..area }, frame.buffer_mut());
        let list_width = if area.width < LIST_FROM { 0 } else { (area.width / 5).clamp(18, 30) };
        self.conversations(Rect { width: list_width, ..main }, frame.buffer_mut());
        let gap = u16::from(list_width > 0);
        let pane = Rect { x: main.x + list_width + gap, width: main.width - list_width - gap, ..main };
        if gap > 0 {
            for y in main.y..main.y + main.height {
                frame.buffer_mut().set_string(main.x + list_width, y, "│", self.look.faint());
            }
        }
        self.conversation(
            Rect { x: pane.x + 1, width: pane.width.saturating_sub(2), ..pane },
            frame.buffer_mut(),
        );
        self.overlay.draw(&self.me, &self.zone, self.look, main, frame.buffer_mut());
        self.notice_area(notice_area, frame.buffer_mut());
        // The cursor's row is always visible.
        let first = (row + 1).saturating_sub(usize::from(writing));
        for (y, text) in rows.iter().skip(first).take(usize::from(writing)).enumerate() {
            let y = writing_area.y + u16::try_from(y).unwrap_or(0);
            let mark = if y == writing_area.y { "› " } else { "  " };
            let (x, _) = frame.buffer_mut().set_stringn(area.x, y, mark, 2, self.look.bold());
            frame.buffer_mut().set_string(x, y, text, Style::new());
        }
        let column = u16::try_from(column).unwrap_or(0);
        let y = writing_area.y + u16::try_from(row - first).unwrap_or(0);
        frame.set_cursor_position(Position { x: (area.x + 2 + column).min(area.x + area.width - 1), y });
    }

    /// The header: the partner and the state of the connection.
    fn head(&self, area: Rect, buffer: &mut Buffer) {
        let look = self.look;
        buffer.set_style(area, look.selected());
        let (sign, state) = match self.connection {
            Connection::Connecting => ("◌", "connecting"),
            Connection::Up => ("●", ""),
            Connection::Down => ("○", "offline"),
        };
        let right = if area.width < LIST_FROM {
            // Without a list, the header shows unread messages of other conversations.
            let elsewhere = self.list.unseen() - self.partner().map_or(0, |partner| self.unseen(partner));
            let part =
                |mark: &str, count: u64| if count > 0 { format!("{mark}{count} ") } else { String::new() };
            let state = if state.is_empty() { String::new() } else { format!("{state} ") };
            format!(
                "{}{}{state}{sign} ",
                part("…", self.waiting.try_into().unwrap_or(u64::MAX)),
                part("+", elsewhere)
            )
        } else {
            let waiting =
                if self.waiting > 0 { format!("{} waiting · ", self.waiting) } else { String::new() };
            let state = if state.is_empty() { String::new() } else { format!("{state} · ") };
            format!("{waiting}{state}{}@{} {sign} ", self.me, self.server)
        };
        let right = fit(&right, usize::from(area.width) * 2 / 3);
        let room = usize::from(area.width).saturating_sub(right.width());
        let left = match &self.pane {
            None => " P2P Chat".to_owned(),
            Some(pane) => {
                let there = match (self.connection, self.list.is_online(&pane.partner)) {
                    (Connection::Up, true) => " · online",
                    (Connection::Up, false) => " · offline",
                    // Unknown.
                    (Connection::Connecting | Connection::Down, _) => "",
                };
                format!(" {}{there}", clean::one_line(&pane.partner))
            }
        };
        buffer.set_stringn(area.x, area.y, fit(&left, room.saturating_sub(1)), room, look.selected());
        let x = area.x + u16::try_from(room).unwrap_or(0);
        buffer.set_stringn(x, area.y, right, usize::from(area.width), look.selected());
    }

    fn conversations(&mut self, area: Rect, buffer: &mut Buffer) {
        let rows = self.list.rows();
        let open = self.partner().and_then(|partner| self.list.position(partner));
        // The open conversation is always visible.
        let first = open.map_or(0, |at| (at + 1).saturating_sub(usize::from(area.height)));
        let shown: Vec<_> = rows.into_iter().enumerate().skip(first).take(usize::from(area.height)).collect();
        if area.width == 0 {
            self.places = Places::default();
            return;
        }
        self.places = Places { area, partners: shown.iter().map(|(_, row)| row.partner.clone()).collect() };
        for (y, (at, row)) in (area.y..).zip(shown) {
            let is_open = open == Some(at);
            let style = if row.unseen > 0 { self.look.bold() } else { Style::new() };
            let sign = match (self.connection, row.online) {
                (Connection::Up, true) => Span::styled(" ● ", self.look.good()),
                (Connection::Up, false) => Span::styled(" ○ ", self.look.faint()),
                (Connection::Connecting | Connection::Down, _) => Span::raw("   "),
            };
            let count = if row.unseen > 0 { format!("{} ", row.unseen) } else { " ".to_owned() };
            let room = usize::from(area.width).saturating_sub(3 + count.width());
            let name = fit(&clean::one_line(&row.partner), room);
            let space = " ".repeat(room.saturating_sub(name.width()));
            let line = Line::from(vec![
                sign,
                Span::styled(name, style),
                Span::raw(space),
                Span::styled(count, self.look.news()),
            ]);
            buffer.set_line(area.x, y, &line, area.width);
            if is_open {
                buffer.set_style(Rect { y, height: 1, ..area }, self.look.selected());
            }
        }
    }

    fn conversation(&mut self, area: Rect, buffer: &mut Buffer) {
        let (look, today) = (self.look, self.today());
        let me = self.me.to_string();
        let Some(pane) = &mut self.pane else {
            self.welcome(area, buffer);
            return;
        };
        let (width, focused) = (usize::from(area.width), self.focused);
        let frame = PaneFrame { look, zone: &self.zone, today, me: &me, width, focused };
        let rows = pane.rows(&frame, usize::from(area.height));
        if rows.is_empty() {
            let text = format!("No messages yet with {}. Type one below.", clean::one_line(&pane.partner));
            for (y, row) in (area.y..area.y + area.height).zip(wrap(&text, width)) {
                buffer.set_stringn(area.x, y, row, width, look.faint());
            }
        }
        let top = area.y + area.height - u16::try_from(rows.len()).unwrap_or(area.height);
        for (y, row) in (top..).zip(&rows) {
            buffer.set_line(area.x, y, row, area.width);
        }
    }

    fn welcome(&self, area: Rect, buffer: &mut Buffer) {
        let lines = [
            "No conversations yet.",
            "",
            "bob: hi     says hi to bob",
            "/to bob     talks with bob",
            "F1          helps",
        ];
        for (y, line) in (area.y..area.y + area.height).zip(lines) {
            buffer.set_stringn(area.x, y, line, usize::from(area.width), self.look.faint());
        }
    }

    /// Notices, else the keys; in at most `room` rows.
    fn notice_rows(&self, width: usize, room: usize) -> (Vec<String>, Style) {
        let below = self.pane.as_ref().filter(|pane| !pane.is_following());
        let (text, style) = match (&self.notice, below) {
            (Some(notice), _) => {
                let (mark, style) =
                    if notice.error { ("!", self.look.error()) } else { ("·", self.look.bold()) };
                let mut rows = wrap(&format!("{mark} {}", notice.text), width.saturating_sub(2));
                rows.truncate(NOTICE.min(room).max(1));
                return (rows, style);
            }
            (None, Some(pane)) if pane.unseen() > 0 => (
                format!("↓ {} new below; Tab reads on, Esc goes to the newest", pane.unseen()),
                self.look.news(),
            ),
            (None, Some(_)) => {
                ("↓ older messages; Esc goes back to the newest".to_owned(), self.look.faint())
            }
            (None, None) => (
                "F1 help   Tab next unread   Ctrl-N/P conversations   PgUp older   Ctrl-F search".to_owned(),
                self.look.faint(),
            ),
        };
        (vec![fit(&text, width.saturating_sub(1))], style)
    }

    fn notice_area(&self, area: Rect, buffer: &mut Buffer) {
        let width = usize::from(area.width);
        let (rows, style) = self.notice_rows(width, usize::from(area.height));
        for (y, row) in (area.y..).zip(&rows) {
            if rows.len() == 1 {
                buffer.set_stringn(area.x, y, "─".repeat(width), width, self.look.faint());
            }
            buffer.set_stringn(area.x, y, format!(" {row} "), width, style);
        }
    }
}
