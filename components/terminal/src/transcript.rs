//! Formats items: as a conversation on a screen, or as one line each for a program.
//!
//! Everything passes [`clean`] here, and all output comes from here.

use protocol::UserName;
use unicode_width::UnicodeWidthStr;

use crate::clean;
use crate::clock::{Day, Zone};
use crate::history::entry::Entry;
use crate::item::Item;
use crate::json;
use crate::palette::Palette;

/// The output stream of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Messages and answers.
    Out,
    /// Notices and errors.
    Err,
}

/// Turns items into lines.
#[derive(Debug)]
pub(crate) enum Transcript {
    /// For a person.
    Screen(Screen),
    /// For a program: RFC 3339 times, one line per message, no hints.
    Plain,
    /// For a program that reads JSON: one object per line, for everything that happens.
    Json,
}

/// The state of the screen format.
#[derive(Debug)]
pub(crate) struct Screen {
    palette: Palette,
    zone: Zone,
    /// The day of the last message shown, today at first.
    day: Day,
}

impl Transcript {
    pub(crate) fn screen(palette: Palette, zone: Zone, today: Day) -> Self {
        Self::Screen(Screen { palette, zone, day: today })
    }

    /// The lines of an item, each with its line end, or `None` if this reader does not need it. `me` is the user.
    pub(crate) fn render(&mut self, item: &Item, me: &UserName) -> Option<(Stream, String)> {
        match self {
            Self::Screen(screen) => {
                let text = screen.render(item, me);
                (!text.is_empty()).then_some((Stream::Out, text))
            }
            Self::Plain => plain(item, me),
            Self::Json => Some((Stream::Out, json::line(item)?)),
        }
    }
}

fn plain(item: &Item, me: &UserName) -> Option<(Stream, String)> {
    if let Item::News(entry) | Item::Past(entry) = item {
        let body = clean::flatten(&entry.text);
        let metadata = entry.metadata.shown();
        let metadata = if metadata.is_empty() {
            String::new()
        } else {
            format!(" {}", clean::flatten(&metadata.to_json()))
        };
        return Some((Stream::Out, format!("{} {}: {body}{metadata}\n", entry.said, who(entry, me))));
    }
    let lines: Vec<(Stream, String)> = item
        .words()
        .into_iter()
        .filter_map(|word| match word {
            Item::Answer(text) => Some((Stream::Out, format!("{}\n", clean::one_line(&text)))),
            Item::Notice(text) => Some((Stream::Err, format!("{}\n", clean::one_line(&text)))),
            Item::Error(text) => Some((Stream::Err, format!("error: {}\n", clean::one_line(&text)))),
            _ => None,
        })
        .collect();
    let stream = lines.first()?.0;
    Some((stream, lines.into_iter().map(|(_, text)| text).collect()))
}

/// The sender; for own messages from elsewhere, also the recipient.
fn who(entry: &Entry, me: &UserName) -> String {
    let partner = clean::one_line(&entry.partner);
    if entry.outgoing { format!("{me} -> {partner}") } else { partner }
}

impl Screen {
    fn render(&mut self, item: &Item, me: &UserName) -> String {
        if let Item::News(entry) | Item::Past(entry) = item {
            return self.message(entry, me);
        }
        item.words().iter().map(|word| self.word(word)).collect()
    }

    fn word(&self, word: &Item) -> String {
        match word {
            Item::Answer(text) => format!("{}\n", clean::one_line(text)),
            Item::Notice(text) | Item::Hint(text) => {
                format!("{}\n", self.palette.faint(&format!("· {}", clean::one_line(text))))
            }
            Item::Error(text) => format!("{}\n", self.palette.error(&format!("! {}", clean::one_line(text)))),
            _ => String::new(),
        }
    }

    fn message(&mut self, entry: &Entry, me: &UserName) -> String {
        let palette = self.palette;
        let moment = self.zone.moment(entry.said);
        let mut text = String::new();
        if moment.day != self.day {
            self.day = moment.day;
            text = format!("{}\n", palette.faint(&format!("── {} ──", moment.day)));
        }
        let time = moment.to_string();
        let partner = clean::one_line(&entry.partner);
        let (bare, coloured) = if entry.outgoing {
            (
                format!("{me} → {partner}"),
                format!("{} → {}", palette.name(me.as_str()), palette.name(&partner)),
            )
        } else {
            (partner.clone(), palette.name(&partner))
        };
        text.push_str(&format!("{} {coloured}  ", palette.faint(&time)));
        // Further lines are indented, so that none looks like a message.
        let indent = " ".repeat(time.width() + 1 + bare.width() + 2);
        let separator = format!("\n{indent}");
        let body: Vec<String> =
            clean::lines(&entry.text).map(|line| palette.body(entry.kind, &line)).collect();
        text.push_str(&body.join(&separator));
        let metadata = entry.metadata.shown();
        if !metadata.is_empty() {
            let metadata = clean::flatten(&metadata.to_json());
            text.push_str(&format!(" {}", palette.faint(&metadata)));
        }
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::entry::State;
    use protocol::{MessageType, Metadata, Timestamp};

    fn name(text: &str) -> UserName {
        UserName::parse(text).unwrap()
    }

    fn message(from: &str, to: &str, at: &str, text: &str, metadata: &str) -> Entry {
        let outgoing = from == "alice";
        Entry {
            row: 1,
            place: 1,
            partner: if outgoing { to } else { from }.to_owned(),
            outgoing,
            text: text.to_owned(),
            said: Timestamp::parse(at).unwrap(),
            state: State::Stored,
            seq: Some(1),
            kind: MessageType::Chat,
            metadata: serde_json::from_str::<Metadata>(metadata).unwrap(),
            client_id: None,
        }
    }

    fn event(from: &str, to: &str, at: &str, text: &str, metadata: &str) -> Item {
        Item::News(message(from, to, at, text, metadata))
    }

    fn screen() -> Transcript {
        let zone = Zone::local(Some("UTC0"));
        let today = zone.moment(Timestamp::parse("2026-11-20T10:00:00Z").unwrap()).day;
        Transcript::screen(Palette::Plain, zone, today)
    }

    fn shown(transcript: &mut Transcript, item: &Item) -> String {
        transcript.render(item, &name("alice")).map_or_else(String::new, |(_, text)| text)
    }

    #[test]
    fn a_screen_shows_times_names_and_the_day_where_it_changes() {
        let mut screen = screen();
        let today = event("bob", "alice", "2026-11-20T12:03:00Z", "hi", "{}");
        let tomorrow = event("alice", "bob", "2026-11-21T00:00:00Z", "one\ntwo", r#"{"a":1}"#);
        assert_eq!(shown(&mut screen, &today), "12:03 bob  hi\n");
        assert_eq!(
            shown(&mut screen, &tomorrow),
            "── Saturday 21 November 2026 ──\n00:00 alice → bob  one\n                   two {\"a\":1}\n"
        );
        assert_eq!(shown(&mut screen, &Item::Error("no \u{1b}[2J".into())), "! no [2J\n");
    }

    #[test]
    fn a_program_gets_one_line_a_message_and_no_hints() {
        let mut plain = Transcript::Plain;
        let item = event("bob", "alice", "2026-11-20T12:03:00Z", "a\nb", r#"{"a":1}"#);
        assert_eq!(shown(&mut plain, &item), "2026-11-20T12:03:00.000000+00:00 bob: a b {\"a\":1}\n");
        assert_eq!(shown(&mut plain, &Item::Hint("x".into())), "");
        let error = plain.render(&Item::Error("x\ny".into()), &name("alice"));
        assert_eq!(error, Some((Stream::Err, "error: x y\n".to_owned())));
    }

    #[test]
    fn colours_go_by_the_kind_of_a_message() {
        let zone = Zone::local(Some("UTC0"));
        let today = zone.moment(Timestamp::from_micros(0)).day;
        let mut screen = Transcript::screen(Palette::Coloured, zone, today);
        let mut warm = message("t1", "alice", "1970-01-01T00:00:00Z", "warm", "{}");
        warm.kind = MessageType::Notification;
        assert!(shown(&mut screen, &Item::News(warm)).contains("\u{1b}[33mwarm\u{1b}[0m"));
    }
}
