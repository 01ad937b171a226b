//! Parses typed lines.
//!
//! The grammar is that of the text dialect (`bob: hi`, `!check`, `exit`), extended by lines without a recipient, which go to the current
//! partner, and by `/commands`.

use protocol::text::{self, Line};
use protocol::{Body, UserName};

/// Default number of messages for `/history`.
const HISTORY: u32 = 20;

/// A parsed line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// Send a message.
    Say { to: UserName, body: Body },
    /// Make this user the current partner.
    Talk(UserName),
    /// List online users.
    Who,
    /// Show the last messages with a user.
    History { with: UserName, count: u32 },
    /// Search for a text.
    Search(String),
    /// Show unread messages.
    Check,
    /// Show the help.
    Help,
    /// Leave.
    Leave,
    /// An empty line.
    Nothing,
    /// Invalid, with the error to show.
    Wrong(String),
}

/// What `/help` answers.
pub(crate) const HELP: &[&str] = &[
    "bob: hi        say hi to bob; further lines without a name also go to bob",
    "/to bob        talk with bob",
    "/say TEXT      say TEXT as it stands, even if it looks like a command or a name",
    "/who           who is online",
    "/history [n]   the last n messages with whom you talk",
    "/search TEXT   search the local messages for TEXT",
    "!check         show unread messages",
    "exit           leave (so does ctrl-D)",
    "Tab completes names and commands; the arrow keys bring back what you typed.",
];

/// Every command that starts with a slash or an exclamation mark, for completion.
pub(crate) const NAMES: &[&str] =
    &["!check", "/exit", "/help", "/history ", "/say ", "/search ", "/to ", "/who"];

const NOBODY: &str = "no recipient: start with a name, as in `bob: hi`; see /help";

/// Parses a typed line; `partner` is the current partner.
pub(crate) fn parse(line: &str, partner: Option<&UserName>) -> Command {
    let line = line.trim();
    if let Some(command) = line.strip_prefix('/') {
        return slash(command, partner);
    }
    match (text::parse_line(line), partner) {
        (Line::Blank, _) => Command::Nothing,
        (Line::Exit, _) => Command::Leave,
        (Line::Check, _) => Command::Check,
        (Line::Message { .. }, Some(partner)) if is_prose(line) => say(line, partner.clone()),
        (Line::Message { to, body }, _) => Command::Say { to, body },
        (Line::Invalid(_), _) => without_message(line, partner),
    }
}

/// `http://…` and `12:30` contain a colon, but are not meant for users `http` or `12`.
fn is_prose(line: &str) -> bool {
    let Some((before, after)) = line.split_once(':') else { return true };
    let is_time =
        before.bytes().all(|b| b.is_ascii_digit()) && after.starts_with(|c: char| c.is_ascii_digit());
    after.starts_with("//") || is_time
}

/// Parses a line that is not a complete message: `bob:` makes bob the partner; a name with an invalid text is an error; anything else goes
/// to the partner.
fn without_message(line: &str, partner: Option<&UserName>) -> Command {
    let receiver = line.split_once(':').and_then(|(to, body)| Some((UserName::parse(to).ok()?, body)));
    match (receiver, partner) {
        (Some((to, body)), _) if body.trim().is_empty() => Command::Talk(to),
        (Some((_, body)), _) => match Body::parse(body) {
            Err(error) => Command::Wrong(error.to_string()),
            Ok(_) => Command::Wrong(NOBODY.to_owned()),
        },
        (None, Some(partner)) => say(line, partner.clone()),
        (None, None) => Command::Wrong(why_nobody(line)),
    }
}

fn why_nobody(line: &str) -> String {
    let name = line.split_once(':').map(|(to, _)| UserName::parse(to));
    match name {
        Some(Err(error)) => format!("invalid recipient: {error}"),
        Some(Ok(_)) | None => NOBODY.to_owned(),
    }
}

fn say(text: &str, to: UserName) -> Command {
    match Body::parse(text) {
        Ok(body) => Command::Say { to, body },
        Err(error) => Command::Wrong(error.to_string()),
    }
}

fn slash(command: &str, partner: Option<&UserName>) -> Command {
    let (word, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    let rest = rest.trim();
    match word.to_ascii_lowercase().as_str() {
        "to" => talk(rest),
        "say" => partner.map_or_else(nobody, |partner| say(rest, partner.clone())),
        "who" => Command::Who,
        "history" => history(rest, partner),
        "search" if rest.is_empty() => {
            Command::Wrong("/search needs a text, as in /search station".to_owned())
        }
        "search" => Command::Search(rest.to_owned()),
        "check" => Command::Check,
        "help" | "?" => Command::Help,
        "exit" | "quit" => Command::Leave,
        _ => Command::Wrong(format!("unknown command /{word}; see /help")),
    }
}

fn nobody() -> Command {
    Command::Wrong(NOBODY.to_owned())
}

fn talk(rest: &str) -> Command {
    // `/to bob hi` also sends the text; completion produces `/to bob:`.
    let (name, text) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    match UserName::parse(name.trim_end_matches(':')) {
        Ok(to) if text.trim().is_empty() => Command::Talk(to),
        Ok(to) => say(text, to),
        Err(error) => Command::Wrong(error.to_string()),
    }
}

fn history(rest: &str, partner: Option<&UserName>) -> Command {
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (with, count) = match (words.as_slice(), partner) {
        ([], Some(partner)) => (partner.clone(), None),
        ([count], Some(partner)) if count.parse::<u32>().is_ok() => (partner.clone(), Some(*count)),
        ([name], _) => match UserName::parse(name) {
            Ok(with) => (with, None),
            Err(error) => return Command::Wrong(error.to_string()),
        },
        ([name, count], _) => match UserName::parse(name) {
            Ok(with) => (with, Some(*count)),
            Err(error) => return Command::Wrong(error.to_string()),
        },
        ([], None) | ([_, _, _, ..], _) => {
            return Command::Wrong("use /history [name] [number], as in /history bob 50".to_owned());
        }
    };
    match count.map_or(Ok(HISTORY), str::parse) {
        Ok(count @ 1..) => Command::History { with, count },
        Ok(0) | Err(_) => Command::Wrong("/history needs a number, as in /history 50".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> UserName {
        UserName::parse(text).unwrap()
    }

    fn said(to: &str, body: &str) -> Command {
        Command::Say { to: name(to), body: Body::parse(body).unwrap() }
    }

    fn with_bob(line: &str) -> Command {
        parse(line, Some(&name("bob")))
    }

    #[test]
    fn a_line_with_a_name_goes_there_and_one_without_goes_on_to_the_partner() {
        assert_eq!(parse("bob: hi", None), said("bob", "hi"));
        assert_eq!(with_bob("carol:hi: there"), said("carol", "hi: there"));
        assert_eq!(with_bob("how are you?"), said("bob", "how are you?"));
        assert_eq!(with_bob("look here: it works"), said("bob", "look here: it works"));
        assert!(matches!(parse("how are you?", None), Command::Wrong(_)));
        assert!(matches!(parse("a b: hi", None), Command::Wrong(text) if text.contains("a space")));
    }

    #[test]
    fn addresses_and_times_are_not_names() {
        assert_eq!(with_bob("https://example.org/"), said("bob", "https://example.org/"));
        assert_eq!(with_bob("12:30 at the station"), said("bob", "12:30 at the station"));
        assert_eq!(with_bob("4711: hi"), said("4711", "hi"));
    }

    #[test]
    fn commands() {
        assert_eq!(parse(" EXIT ", None), Command::Leave);
        assert_eq!(parse("/quit", None), Command::Leave);
        assert_eq!(with_bob("!check"), Command::Check);
        assert_eq!(parse("", None), Command::Nothing);
        assert_eq!(parse("/who", None), Command::Who);
        assert_eq!(parse("/to Carol", None), Command::Talk(name("carol")));
        assert_eq!(parse("bob:", None), Command::Talk(name("bob")));
        assert_eq!(parse("/to carol: see you", None), said("carol", "see you"));
        assert_eq!(parse("/search two words ", None), Command::Search("two words".to_owned()));
        assert!(matches!(parse("/search", None), Command::Wrong(_)));
        assert_eq!(with_bob("/say exit"), said("bob", "exit"));
        assert_eq!(with_bob("/say x: y"), said("bob", "x: y"));
        assert!(matches!(parse("/say x", None), Command::Wrong(_)));
        assert!(matches!(parse("/dance", None), Command::Wrong(text) if text.contains("/dance")));
    }

    #[test]
    fn history_takes_a_name_and_a_number_in_that_order() {
        let asked = |with: &str, count| Command::History { with: name(with), count };
        assert_eq!(with_bob("/history"), asked("bob", HISTORY));
        assert_eq!(with_bob("/history 5"), asked("bob", 5));
        assert_eq!(parse("/history carol", None), asked("carol", HISTORY));
        assert_eq!(parse("/history carol 7", None), asked("carol", 7));
        for wrong in ["/history", "/history a b c", "/history carol x"] {
            assert!(matches!(parse(wrong, None), Command::Wrong(_)), "{wrong}");
        }
        assert!(matches!(with_bob("/history 0"), Command::Wrong(_)));
    }

    #[test]
    fn a_text_that_is_too_long_is_not_sent_to_somebody_else() {
        let long = format!("carol: {}", "x".repeat(20_000));
        assert!(matches!(with_bob(&long), Command::Wrong(text) if text.contains("16384")));
    }

    proptest! {
        #[test]
        fn nothing_makes_the_parser_panic(line in any::<String>()) {
            let _ = parse(&line, None);
            let _ = with_bob(&line);
        }
    }
}
