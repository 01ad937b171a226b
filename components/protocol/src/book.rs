//! The book dialect's grammar (`WIRE` §2): what a line means, and the bytes that answer it.

use std::fmt::Write;

use crate::text::{one_line, sized_line};
use crate::{Body, Event, UserName};

/// Sent as soon as a connection is made, without a line end.
pub const PROMPT: &str = "Enter your username: ";
/// Precedes the offline messages, if there are any.
pub const OFFLINE_HEADER: &str = "You have offline messages:\n";
/// The prompt after each line that the client sends; without a line end.
pub const TARGET_PROMPT: &str = "Enter target and message (e.g., kiki-Hello!): ";
/// The answer if the target is not registered.
pub const NOT_FOUND: &str = "User not found.\n";
/// The answer to a line without `-`.
pub const FORMAT_ERROR: &str = "Format error. Please enter: <target>-<message>\n";

/// Most bytes of names in the list of online users.
const ONLINE_BYTES: usize = 16 * 1024;

/// What one line from a book client means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// Send `body` to `to`, which is registered.
    Message {
        /// The recipient.
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
    match splits(line).filter(|(name, _)| registered(name)).last() {
        None => Line::NotFound,
        Some((to, text)) => Body::parse(text).map_or(Line::FormatError, |body| Line::Message { to, body }),
    }
}

/// The names that a line may address; which of them is meant depends on which are registered. At most
/// [`KNOWN_NAMES`](crate::limits::KNOWN_NAMES).
#[must_use]
pub fn candidates(line: &str) -> Vec<UserName> {
    splits(line.trim()).map(|(name, _)| name).collect()
}

/// Every way to split a line at a `-` into a name and the rest, the shortest name first.
fn splits(line: &str) -> impl Iterator<Item = (UserName, &str)> {
    // A name has at most NAME_CHARS characters of at most four bytes, so no name ends at a later dash.
    let reach = line.len().min(crate::limits::KNOWN_NAMES);
    let dashes = line.bytes().take(reach).enumerate().filter(|(_, b)| *b == b'-').map(|(at, _)| at);
    dashes.filter_map(|at| Some((UserName::parse(&line[..at]).ok()?, &line[at + 1..])))
}

/// The client book: all names ever registered, in order of first registration. At most so many bytes of names; the rest are counted.
#[must_use]
pub fn client_book<'a>(names: impl Iterator<Item = &'a UserName>, most: usize) -> String {
    format!("Client book => {}\n", join(names, most))
}

/// The list of other online users. It is sent after every line, so it has at most 16 KiB of names; the rest are counted.
#[must_use]
pub fn online<'a>(names: impl Iterator<Item = &'a UserName>) -> String {
    format!("\nUsers online=> {}\n", join(names, ONLINE_BYTES))
}

fn join<'a>(mut names: impl Iterator<Item = &'a UserName>, most: usize) -> String {
    let mut list = String::new();
    for name in names.by_ref() {
        if list.len() + name.as_str().len() > most {
            let _ = write!(list, " and {} more", 1 + names.count());
            break;
        }
        if !list.is_empty() {
            list.push_str(", ");
        }
        list.push_str(name.as_str());
    }
    list
}

/// A stored message, delivered when its recipient is back online.
#[must_use]
pub fn offline(event: &Event) -> String {
    let (body, timestamp) = (one_line(&event.body), event.timestamp.to_seconds_text());
    sized_line(event, 6 + timestamp.len(), format_args!("{}: {body} ({timestamp})\n", event.sender))
}

/// A message that is delivered live.
#[must_use]
pub fn live(event: &Event) -> String {
    sized_line(event, 4, format_args!("\n{}: {}\n", event.sender, one_line(&event.body)))
}

/// The answer to a message whose recipient is offline, once the message is durable.
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
        assert_eq!(candidates(" ann-lee-hi \n"), [name("ann"), name("ann-lee")]);
        let dashes = "-".repeat(1000);
        assert!(candidates(&format!("a{dashes}")).len() <= crate::limits::KNOWN_NAMES);
    }

    #[test]
    fn lists_are_bounded_and_say_what_they_leave_out() {
        let names: Vec<UserName> = (0..1000).map(|n| name(&format!("somebody-with-a-name-{n:04}"))).collect();
        let line = online(names.iter());
        assert!(line.len() < ONLINE_BYTES + 64);
        let (shown, more) = line.trim().split_once(" and ").unwrap();
        let more: usize = more.strip_suffix(" more").unwrap().parse().unwrap();
        assert_eq!(shown.split(", ").count() + more, 1000);
    }

    #[test]
    fn answers_are_these_bytes() {
        let names = [name("alice"), name("bob")];
        assert_eq!(client_book(names.iter(), 99), "Client book => alice, bob\n");
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
