//! The thermometer's commands, and the texts of its answers.

/// Answers `subscribe`, once the subscription is stored.
pub(crate) const SUBSCRIBED: &str = "Subscription confirmed.";
/// Answers `unsubscribe`, once the subscription is deleted.
pub(crate) const UNSUBSCRIBED: &str = "Unsubscribed.";
/// Answers `reboot`, after a while.
pub(crate) const REBOOTED: &str = "Reboot complete.";
/// Answers `range`; the temperatures are in the metadata.
pub(crate) const RANGE: &str = "Temperature range data";
/// Sent to every subscriber; the temperature is in the metadata.
pub(crate) const UPDATE: &str = "Temperature update";
/// Answers anything else.
pub(crate) const UNKNOWN: &str =
    "I do not know that command. I know: subscribe, unsubscribe, range and reboot.";
/// Answers `subscribe` when there is no room.
pub(crate) const FULL: &str = "I have as many subscribers as I can serve. Please try again later.";
/// Tells a user that the subscription has ended.
pub(crate) const ENDED: &str =
    "Your subscription has ended, because you were not online for too long. Send subscribe to go on.";
/// Answers `subscribe` and `unsubscribe` when the message API rejects the change.
pub(crate) const NOT_KEPT: &str =
    "I could not note that down, so nothing has changed. Please try again later.";

/// A user's command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    /// Subscribe or unsubscribe.
    Subscription(Change),
    /// Restart (simulated).
    Reboot,
    /// Send five temperatures.
    Range,
    /// An unknown command.
    Unknown,
}

/// A change of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Subscribe,
    Unsubscribe,
}

/// Parses a command, ignoring case and surrounding white space.
pub(crate) fn parse(text: &str) -> Command {
    let known = [
        ("subscribe", Command::Subscription(Change::Subscribe)),
        ("unsubscribe", Command::Subscription(Change::Unsubscribe)),
        ("reboot", Command::Reboot),
        ("range", Command::Range),
    ];
    let text = text.trim();
    let found = known.iter().find(|(word, _)| text.eq_ignore_ascii_case(word));
    found.map_or(Command::Unknown, |(_, command)| *command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_in_any_case_and_nothing_else_is_one() {
        assert_eq!(parse(" SubScribe \n"), Command::Subscription(Change::Subscribe));
        assert_eq!(parse("UNSUBSCRIBE"), Command::Subscription(Change::Unsubscribe));
        assert_eq!(parse("reboot"), Command::Reboot);
        assert_eq!(parse("Range"), Command::Range);
        for other in ["", "subscribe me", "help", "ſubscribe"] {
            assert_eq!(parse(other), Command::Unknown, "{other}");
        }
    }
}
