//! Colours by type of message and by user, or none.
//!
//! Only the eight basic colours and faint, which are readable in every theme, light or dark.

use protocol::MessageType;

/// Whether to colour, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Palette {
    /// Text as it is.
    Plain,
    /// SGR sequences (ECMA-48 §8.3.117).
    Coloured,
}

const FAINT: &str = "2";
const RED: &str = "31";
const PEOPLE: [&str; 5] = ["32", "34", "35", "36", "1;34"];

impl Palette {
    /// Colours if the terminal supports them and `NO_COLOR` (no-color.org) is not set.
    pub(crate) fn choose(no_color: Option<&str>, term: Option<&str>) -> Self {
        let forbidden = no_color.is_some_and(|value| !value.is_empty());
        let dumb = term.is_none_or(|term| term.is_empty() || term == "dumb");
        if forbidden || dumb { Self::Plain } else { Self::Coloured }
    }

    pub(crate) fn faint(self, text: &str) -> String {
        self.with(FAINT, text)
    }

    pub(crate) fn error(self, text: &str) -> String {
        self.with(RED, text)
    }

    /// Each user has a fixed colour.
    pub(crate) fn name(self, name: &str) -> String {
        let sum = name.bytes().fold(0usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
        self.with(PEOPLE[sum % PEOPLE.len()], name)
    }

    /// The text of a message.
    pub(crate) fn body(self, kind: MessageType, text: &str) -> String {
        match kind {
            MessageType::Chat => text.to_owned(),
            MessageType::Command => self.with("36", text),
            MessageType::Notification => self.with("33", text),
            MessageType::Subscription => self.with("35", text),
        }
    }

    fn with(self, code: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Coloured => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_only_where_they_are_wanted() {
        assert_eq!(Palette::choose(None, Some("xterm")), Palette::Coloured);
        assert_eq!(Palette::choose(Some(""), Some("xterm")), Palette::Coloured);
        assert_eq!(Palette::choose(Some("1"), Some("xterm")), Palette::Plain);
        assert_eq!(Palette::choose(None, Some("dumb")), Palette::Plain);
        assert_eq!(Palette::choose(None, None), Palette::Plain);
        assert_eq!(Palette::Plain.error("x"), "x");
        assert_eq!(Palette::Coloured.error("x"), "\u{1b}[31mx\u{1b}[0m");
    }
}
