//! The book dialect's grammar (`WIRE` §2): what a line means, and the bytes that answer it.

use crate::text::one_line;
use crate::{Body, Event, UserName};

/// Sent as soon as a connection is made, without a line end.
pub const PROMPT: &str = "Enter your username: ";
/// Comes before the offline messages, only if there are any.
pub const OFFLINE_HEADER: &str = "You have offline messages:\n";
/// Ends what comes again after every line the client sends; without a line end.
pub const TARGET_PROMPT: &str = "Enter target and message (e.g., kiki-Hello!): ";
/// The target never registered.
pub const NOT_FOUND: &str = "User not found.\n";
/// The line has no `-`.
pub const FORMAT_ERROR: &str = "Format error. Please enter: <target>-<message>\n";

/// What one line from a book client means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// Say `body` to `to`, who is registered.
    Message {
        /// The receiver.
        to: UserName,
        /// The text.
        body: Body,
    },
    /// The target is not registered.
    NotFound,
    /// There is no `-`, or nothing after it.
    FormatError,
    /// Nothing but white space.
    Blank,
}

/// Reads `<target>-<message>`. Names may hold `-`: the longest registered name that ends at a `-` wins, else the first `-` splits.
pub fn parse_line(line: &str, registered: impl Fn(&UserName) -> bool) -> Line {
    let line = line.trim();
    if line.is_empty() {
        return Line::Blank;
    }
    if !line.contains('-') {
        return Line::FormatError;
    }
    // No name is longer than NAME_CHARS characters of at most four bytes, so later dashes cannot end one.
    let reach = line.len().min(4 * crate::limits::NAME_CHARS + 1);
    let dashes = line.bytes().take(reach).enumerate().filter(|(_, b)| *b == b'-').map(|(at, _)| at);
    let target = dashes
        .filter_map(|at| Some((UserName::parse(&line[..at]).ok()?, &line[at + 1..])))
        .filter(|(name, _)| registered(name))
        .last();
    match target {
        None => Line::NotFound,
        Some((to, text)) => Body::parse(text).map_or(Line::FormatError, |body| Line::Message { to, body }),
    }
}

/// The client book: all names ever registered, in order of first registration.
#[must_use]
pub fn client_book<'a>(names: impl Iterator<Item = &'a UserName>) -> String {
    format!("Client book => {}\n", join(names))
}

/// Who else is online.
#[must_use]
pub fn online<'a>(names: impl Iterator<Item = &'a UserName>) -> String {
    format!("\nUsers online=> {}\n", join(names))
}

fn join<'a>(names: impl Iterator<Item = &'a UserName>) -> String {
    names.map(UserName::as_str).collect::<Vec<_>>().join(", ")
}

/// A message that was kept for its receiver.
#[must_use]
pub fn offline(event: &Event) -> String {
    format!("{}: {} ({})\n", event.sender, one_line(&event.body), event.timestamp.to_seconds_text())
}

/// A message as it arrives live.
#[must_use]
pub fn live(event: &Event) -> String {
    format!("\n{}: {}\n", event.sender, one_line(&event.body))
}

/// The answer to a message whose receiver is away, once it is durable.
#[must_use]
pub fn stored(to: &UserName) -> String {
    format!("User '{to}' is offline. Message stored.\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> UserName {
        UserName::parse(text).unwrap()
    }

    fn parse(line: &str, names: &[&str]) -> Line {
        parse_line(line, |candidate| names.iter().any(|known| name(known) == *candidate))
    }

    #[test]
    fn the_longest_registered_name_wins() {
        let body = |text| Body::parse(text).unwrap();
        assert_eq!(
            parse("alice-yo-yo", &["alice"]),
            Line::Message { to: name("alice"), body: body("yo-yo") }
        );
        assert_eq!(
            parse("ann-lee-hi", &["ann", "ann-lee"]),
            Line::Message { to: name("ann-lee"), body: body("hi") }
        );
        assert_eq!(parse("ann-lee-hi", &["ann"]), Line::Message { to: name("ann"), body: body("lee-hi") });
        assert_eq!(parse("carol-hey", &["alice"]), Line::NotFound);
        assert_eq!(parse("hello", &["alice"]), Line::FormatError);
        assert_eq!(parse("alice- ", &["alice"]), Line::FormatError);
        assert_eq!(parse("\r\n", &[]), Line::Blank);
    }

    #[test]
    fn answers_are_these_bytes() {
        let names = [name("alice"), name("bob")];
        assert_eq!(client_book(names.iter()), "Client book => alice, bob\n");
        assert_eq!(online(names[..1].iter()), "\nUsers online=> alice\n");
        assert_eq!(stored(&name("dave")), "User 'dave' is offline. Message stored.\n");
    }

    proptest! {
        #[test]
        fn hostile_lines_have_a_meaning(line in any::<String>()) {
            let _ = parse_line(&line, |_| true);
            let _ = parse_line(&line, |_| false);
        }
    }
}
