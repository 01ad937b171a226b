//! Why the chat is ending, and its deadline.

use std::time::Duration;

use tokio::time::Instant;

/// How long to wait for messages to be stored when the user leaves.
const LEAVING: Duration = Duration::from_secs(3);
/// How long to wait for the next answer of a connected server after a pipe ended.
const ANSWERS: Duration = Duration::from_secs(30);
/// How long a pipe waits for a connection: a restarted server is back within a second or two.
pub(super) const SERVER: Duration = Duration::from_secs(5);
/// How long to wait for messages in flight at shutdown.
const SHUTDOWN: Duration = Duration::from_secs(1);

/// Why the chat is ending, and its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaving {
    /// The chat continues.
    No,
    /// The user left.
    User(Instant),
    /// The pipe ended; its lines are still processed, but not indefinitely if the connection is unstable.
    EndOfInput { at: Instant, latest: Instant },
    /// The process is shutting down.
    Shutdown(Instant),
}

impl Leaving {
    pub(super) fn user(now: Instant) -> Self {
        Self::User(now + LEAVING)
    }

    pub(super) fn shutdown(now: Instant) -> Self {
        Self::Shutdown(now + SHUTDOWN)
    }

    /// `contact` is the deadline of a pipe that never had a connection: it does not wait again.
    pub(super) fn end_of_input(now: Instant, connected: bool, contact: Option<Instant>) -> Self {
        let at = now + if connected { ANSWERS } else { SERVER };
        let at = contact.map_or(at, |contact| at.min(contact));
        Self::EndOfInput { at, latest: now + 2 * ANSWERS }
    }

    /// Updates the deadline when the connection changes; it is longer while connected.
    pub(super) fn connection(&mut self, now: Instant, before: bool, after: bool) {
        if let Self::EndOfInput { at, latest } = self {
            match (before, after) {
                (false, true) => *at = (now + ANSWERS).min(*latest),
                (true, false) => *at = (now + SERVER).min(*latest),
                (true, true) | (false, false) => {}
            }
        }
    }

    /// The server answered: extends the deadline, however slow the server is.
    pub(super) fn answered(&mut self, now: Instant) {
        if let Self::EndOfInput { at, latest } = self {
            (*at, *latest) = (now + ANSWERS, now + 2 * ANSWERS);
        }
    }

    pub(super) fn deadline(self) -> Option<Instant> {
        match self {
            Self::No => None,
            Self::User(at) | Self::EndOfInput { at, .. } | Self::Shutdown(at) => Some(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_goes_on_answering_is_waited_for_and_one_that_comes_and_goes_is_not() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut leaving = Leaving::end_of_input(start, true, None);
        assert_eq!(leaving.deadline(), Some(after(30)));
        for second in 1..500 {
            leaving.answered(after(second));
        }
        assert_eq!(leaving.deadline(), Some(after(529)));
        let mut leaving = Leaving::end_of_input(start, true, None);
        for second in (1..58).step_by(2) {
            leaving.connection(after(second), true, false);
            leaving.connection(after(second + 1), false, true);
        }
        assert_eq!(leaving.deadline(), Some(after(60)));
    }

    #[test]
    fn who_waited_for_a_first_connection_does_not_wait_again() {
        let start = Instant::now();
        let contact = start + Duration::from_secs(1);
        assert_eq!(Leaving::end_of_input(start, false, Some(contact)).deadline(), Some(contact));
        assert_eq!(Leaving::end_of_input(start, false, None).deadline(), Some(start + SERVER));
    }
}
