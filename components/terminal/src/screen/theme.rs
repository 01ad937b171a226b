//! Colours and emphasis. Only the terminal's basic colours, which its user has configured to be readable.

use protocol::MessageType;
use ratatui::style::{Color, Modifier, Style};

use crate::options::Theme;

/// The styles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    coloured: bool,
    people: [Color; 6],
    faint: Style,
}

const DARK: [Color; 6] = [
    Color::LightGreen,
    Color::LightBlue,
    Color::LightMagenta,
    Color::LightCyan,
    Color::LightYellow,
    Color::LightRed,
];
const BASIC: [Color; 6] =
    [Color::Green, Color::Blue, Color::Magenta, Color::Cyan, Color::LightBlue, Color::LightMagenta];
const LIGHT: [Color; 6] =
    [Color::Green, Color::Blue, Color::Magenta, Color::Red, Color::Cyan, Color::DarkGray];

impl Look {
    /// `no_color` is the variable `NO_COLOR` (no-color.org): it beats every theme.
    pub(super) fn choose(theme: Theme, no_color: Option<&str>) -> Self {
        let faint = Style::new().add_modifier(Modifier::DIM);
        let coloured = |people, faint| Self { coloured: true, people, faint };
        let mono = Self { coloured: false, people: [Color::Reset; 6], faint };
        if no_color.is_some_and(|value| !value.is_empty()) {
            return mono;
        }
        match theme {
            Theme::Basic => coloured(BASIC, faint),
            Theme::Dark => coloured(DARK, Style::new().fg(Color::DarkGray)),
            Theme::Light => coloured(LIGHT, Style::new().fg(Color::DarkGray)),
            Theme::Mono => mono,
        }
    }

    pub(super) fn faint(self) -> Style {
        self.faint
    }

    pub(super) fn bold(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(super) fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    pub(super) fn error(self) -> Style {
        self.coloured(Color::Red).add_modifier(Modifier::BOLD)
    }

    pub(super) fn good(self) -> Style {
        self.coloured(Color::Green)
    }

    pub(super) fn news(self) -> Style {
        self.coloured(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    fn coloured(self, colour: Color) -> Style {
        if self.coloured { Style::new().fg(colour) } else { Style::new() }
    }

    /// Each user has a fixed colour.
    pub(super) fn name(self, key: &str) -> Style {
        let sum = key.bytes().fold(0usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
        self.coloured(self.people[sum % self.people.len()]).add_modifier(Modifier::BOLD)
    }

    /// The text of a message.
    pub(super) fn body(self, kind: MessageType) -> Style {
        match kind {
            MessageType::Chat => Style::new(),
            MessageType::Command => self.coloured(Color::Cyan),
            MessageType::Notification => self.coloured(Color::Yellow),
            MessageType::Subscription => self.coloured(Color::Magenta),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_color_beats_every_theme() {
        for theme in [Theme::Basic, Theme::Dark, Theme::Light, Theme::Mono] {
            let look = Look::choose(theme, Some("1"));
            for style in [
                look.name("bob"),
                look.error(),
                look.news(),
                look.body(MessageType::Notification),
                look.faint(),
            ] {
                assert_eq!((style.fg, style.bg), (None, None), "{theme:?}");
            }
        }
        assert_eq!(Look::choose(Theme::Basic, Some("")).error().fg, Some(Color::Red));
    }
}
