//! Handles keys.

use crossterm::event::{
    Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};
use protocol::limits::BODY_BYTES;

use super::overlay::Overlay;
use super::pane::Pane;
use super::reading::Reading;
use super::state::Screen;
use crate::command;
use crate::typed::Act;

/// Rows that PgUp and PgDn scroll in an overlay: fewer than fit on most screens.
const PAGE: usize = 10;
/// Rows that one step of the mouse wheel scrolls.
const WHEEL: usize = 3;
/// Most typed lines in memory, as many as in the history. Overflow rule: the oldest is dropped.
const TYPED: usize = 1000;

impl Screen {
    /// Handles a key, a paste, the mouse, or a resize.
    pub(crate) fn handle(&mut self, event: Event) -> Vec<Act> {
        self.dirty = true;
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => {
                self.notice = None;
                self.key(key)
            }
            Event::Key(_) => Vec::new(),
            Event::Paste(text) => self.write(&text),
            Event::Mouse(mouse) => self.mouse(mouse),
            Event::FocusGained => {
                self.focused = true;
                Vec::new()
            }
            Event::FocusLost => {
                self.focused = false;
                Vec::new()
            }
            Event::Resize(..) => vec![Act::Redraw],
        }
    }

    fn key(&mut self, key: KeyEvent) -> Vec<Act> {
        if let Some(acts) = self.overlay_key(key) {
            return acts;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        match key.code {
            KeyCode::Char(letter) if control => self.control(letter),
            KeyCode::Char(letter) if alt => self.alt(letter),
            KeyCode::Enter if alt || key.modifiers.contains(KeyModifiers::SHIFT) => self.write("\n"),
            KeyCode::Char(letter) => self.write(letter.encode_utf8(&mut [0; 4])),
            KeyCode::Enter => self.enter(),
            KeyCode::Tab => self.tab(),
            KeyCode::F(1) => {
                self.overlay = Overlay::Help(Reading::help());
                Vec::new()
            }
            KeyCode::Up if alt => self.neighbour(-1),
            KeyCode::Down if alt => self.neighbour(1),
            KeyCode::Up => self.up_or_down(true),
            KeyCode::Down => self.up_or_down(false),
            KeyCode::Esc if self.composer.text().starts_with(SEARCH) => {
                self.composer.set(std::mem::take(&mut self.before_search));
                Vec::new()
            }
            KeyCode::Esc => self.scroll(|pane| pane.scroll_down(usize::MAX)),
            KeyCode::PageUp => self.scroll(|pane| pane.scroll_up(pane.screenful())),
            KeyCode::PageDown => self.scroll(|pane| pane.scroll_down(pane.screenful())),
            KeyCode::Home if control => self.scroll(|pane| pane.scroll_up(usize::MAX / 2)),
            KeyCode::End if control => self.scroll(|pane| pane.scroll_down(usize::MAX)),
            code => self.edit(code, control || alt),
        }
    }

    fn edit(&mut self, code: KeyCode, by_word: bool) -> Vec<Act> {
        match (code, by_word) {
            (KeyCode::Left, false) => self.composer.left(),
            (KeyCode::Left, true) => self.composer.word_left(),
            (KeyCode::Right, false) => self.composer.right(),
            (KeyCode::Right, true) => self.composer.word_right(),
            (KeyCode::Home, _) => self.composer.home(),
            (KeyCode::End, _) => self.composer.end(),
            (KeyCode::Backspace, false) => self.composer.backspace(),
            (KeyCode::Backspace, true) => self.composer.delete_word(),
            (KeyCode::Delete, _) => self.composer.delete(),
            _ => {}
        }
        Vec::new()
    }

    fn control(&mut self, letter: char) -> Vec<Act> {
        match letter {
            'c' if !self.composer.is_empty() => self.composer.set(String::new()),
            'c' => return vec![Act::Interrupt],
            'd' if self.composer.is_empty() => return vec![Act::Leave],
            'z' => return vec![Act::Suspend],
            'l' => return vec![Act::Redraw],
            'n' => return self.neighbour(1),
            'p' => return self.neighbour(-1),
            'f' if !self.composer.text().starts_with(SEARCH) => {
                self.before_search = self.composer.take();
                self.composer.set(format!("{SEARCH} {}", self.before_search));
            }
            'j' => return self.write("\n"),
            'd' => self.composer.delete(),
            'a' => self.composer.home(),
            'e' => self.composer.end(),
            'b' => self.composer.left(),
            'h' => self.composer.backspace(),
            'w' => self.composer.delete_word(),
            'u' => self.composer.delete_to_start(),
            'k' => self.composer.delete_to_end(),
            _ => {}
        }
        Vec::new()
    }

    fn alt(&mut self, letter: char) -> Vec<Act> {
        match letter {
            'a' => return self.read_on(),
            'b' => self.composer.word_left(),
            'f' => self.composer.word_right(),
            'd' => self.composer.delete_word_on(),
            _ => {}
        }
        Vec::new()
    }

    fn write(&mut self, text: &str) -> Vec<Act> {
        self.recalled = None;
        if !self.composer.insert(text) {
            let more = format!("too long: a message holds {BODY_BYTES} bytes, so this was not taken");
            self.notice(&more, true);
        }
        Vec::new()
    }

    fn enter(&mut self) -> Vec<Act> {
        let line = self.composer.take();
        self.recalled = None;
        if line.trim().is_empty() {
            return Vec::new();
        }
        self.typed.retain(|known| *known != line);
        self.typed.push(line.clone());
        if self.typed.len() > TYPED {
            self.typed.remove(0);
        }
        match line.trim() {
            "/help" | "/?" => {
                self.overlay = Overlay::Help(Reading::help());
                Vec::new()
            }
            "/mouse" => vec![Act::Mouse(!self.mouse)],
            _ => vec![Act::Line(line)],
        }
    }

    /// Completes the common prefix of all candidates, and shows the candidates.
    fn tab(&mut self) -> Vec<Act> {
        if self.composer.is_empty() {
            return self.read_on();
        }
        let (from, mut found) = self.names.complete(self.composer.before());
        if "/mouse".starts_with(self.composer.before()) && self.composer.before().len() > 1 {
            found.push("/mouse".to_owned());
        }
        let Some(first) = found.first() else { return Vec::new() };
        let common = found.iter().fold(first.clone(), |common, name| {
            let same =
                common.chars().zip(name.chars()).take_while(|(a, b)| a.to_lowercase().eq(b.to_lowercase()));
            same.map(|(a, _)| a).collect()
        });
        if common.len() >= self.composer.before().len().saturating_sub(from) {
            self.composer.complete(from, &common);
        }
        if found.len() > 1 {
            let all: Vec<&str> = found.iter().map(|name| name.trim_end_matches([' ', ':'])).collect();
            self.notice(&all.join("  "), false);
        }
        Vec::new()
    }

    /// Goes to unread messages further down, else in the next conversation that has some.
    fn read_on(&mut self) -> Vec<Act> {
        if let Some(pane) = self.pane.as_mut().filter(|pane| !pane.is_following() && pane.unseen() > 0) {
            pane.scroll_down(pane.screenful());
            return Vec::new();
        }
        let next = self.list.first_unseen(self.partner());
        if next.is_none() {
            self.notice("no unread messages", false);
        }
        next.map(Act::Open).into_iter().collect()
    }

    /// Moves to the line above or below in the input, else to the previous or next sent line.
    fn up_or_down(&mut self, up: bool) -> Vec<Act> {
        let moved = if up { self.composer.up() } else { self.composer.down() };
        if !moved {
            self.recall(up);
        }
        Vec::new()
    }

    fn recall(&mut self, back: bool) {
        let at = match (self.recalled, back) {
            (None, true) => self.typed.len().checked_sub(1),
            (Some(at), true) => Some(at.saturating_sub(1)),
            (Some(at), false) if at + 1 < self.typed.len() => Some(at + 1),
            (Some(_), false) => {
                self.recalled = None;
                self.composer.set(std::mem::take(&mut self.unfinished));
                return;
            }
            (None, false) => return,
        };
        let Some(at) = at else { return };
        if self.recalled.is_none() {
            self.unfinished = self.composer.take();
        }
        self.recalled = Some(at);
        self.composer.set(self.typed[at].clone());
    }

    fn scroll(&mut self, scroll: impl FnOnce(&mut Pane)) -> Vec<Act> {
        if let Some(pane) = &mut self.pane {
            scroll(pane);
        }
        Vec::new()
    }

    fn neighbour(&mut self, step: isize) -> Vec<Act> {
        let rows = self.list.rows();
        let here = self.partner().and_then(|partner| self.list.position(partner));
        let next = match here {
            None => 0,
            Some(at) => at.saturating_add_signed(step),
        };
        rows.get(next)
            .filter(|_| here != Some(next))
            .map(|row| Act::Open(row.partner.clone()))
            .into_iter()
            .collect()
    }

    /// Handles a key in an overlay; `None` if it goes to the input line.
    fn overlay_key(&mut self, key: KeyEvent) -> Option<Vec<Act>> {
        let results = match &mut self.overlay {
            Overlay::None => return None,
            Overlay::Results(results) => results,
            Overlay::Help(reading) | Overlay::Answers(reading) => {
                match key.code {
                    KeyCode::Up if reading.scrolls() => reading.up(1),
                    KeyCode::Down if reading.scrolls() => reading.down(1),
                    KeyCode::PageUp if reading.scrolls() => reading.up(PAGE),
                    KeyCode::PageDown if reading.scrolls() => reading.down(PAGE),
                    code => {
                        self.overlay = Overlay::None;
                        // Keys that only close the overlay.
                        let closes = matches!(code, KeyCode::Esc | KeyCode::F(1) | KeyCode::Enter);
                        return closes.then(Vec::new);
                    }
                }
                return Some(Vec::new());
            }
        };
        match key.code {
            KeyCode::Up => results.up(1),
            KeyCode::Down => results.down(1),
            KeyCode::PageUp => results.up(PAGE),
            KeyCode::PageDown => results.down(PAGE),
            KeyCode::Enter if self.composer.is_empty() => {
                let chosen = results.chosen();
                self.overlay = Overlay::None;
                return Some(chosen.map(Act::Find).into_iter().collect());
            }
            KeyCode::Esc => self.overlay = Overlay::None,
            _ => return None,
        }
        Some(Vec::new())
    }

    fn mouse(&mut self, mouse: MouseEvent) -> Vec<Act> {
        match mouse.kind {
            MouseEventKind::ScrollUp => self.scroll(|pane| pane.scroll_up(WHEEL)),
            MouseEventKind::ScrollDown => self.scroll(|pane| pane.scroll_down(WHEEL)),
            MouseEventKind::Down(MouseButton::Left) => {
                self.places.row_at(mouse.column, mouse.row).map(Act::Open).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether the mouse is used.
    pub(crate) fn set_mouse(&mut self, used: bool) {
        self.mouse = used;
        self.notice(
            if used { "the mouse is used; /mouse gives it back" } else { "the mouse is the terminal's" },
            false,
        );
        self.dirty = true;
    }
}

/// The command that Ctrl-F begins, and Esc gives up.
const SEARCH: &str = "/search";

/// Whether a line should be stored: it is not a message with a recipient.
pub(crate) fn is_worth_remembering(line: &str) -> bool {
    !line.starts_with(' ')
        && line.len() <= 1024
        && !matches!(command::parse(line, None), command::Command::Nothing)
}
