//! Keepalive of a silent connection: when to ping, and when the peer is dead. Pure state; the caller supplies the time.
//!
//! While the peer's presence arrives, which is one datagram for everybody, pings are rare: that saves most of the traffic of a large idle
//! network. Presence proves nothing, so pings do not stop; forged presence can hide a dead peer for at most [`PING_WITH_PRESENCE`].

use std::time::Duration;

use tokio::time::Instant;

/// Silence after which a ping is sent.
const PING: Duration = Duration::from_secs(10);
/// The same while the peer's presence arrives.
const PING_WITH_PRESENCE: Duration = Duration::from_secs(60);
/// How often presence is checked. Also how much later the patient side pings, so that usually only one side does.
const CHECK_EVERY: Duration = Duration::from_secs(3);
/// Time without an answer after which the peer is dead.
pub(super) const ANSWER: Duration = Duration::from_secs(15);

/// The times of the last input and of the next check.
#[derive(Debug)]
pub(super) struct Keepalive {
    is_patient: bool,
    last_input: Instant,
    is_pinged: bool,
    next: Instant,
}

/// The action after a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing.
    Wait,
    /// Send a ping.
    Ping,
    /// Close the connection: the peer is dead.
    Dead,
}

impl Keepalive {
    /// Starts with input from the peer. The patient side pings later than the other.
    pub(super) fn new(is_patient: bool, now: Instant) -> Self {
        let next = now + PING + if is_patient { CHECK_EVERY } else { Duration::ZERO };
        Self { is_patient, last_input: now, is_pinged: false, next }
    }

    /// Records input from the peer.
    pub(super) fn record_input(&mut self, now: Instant) {
        *self = Self::new(self.is_patient, now);
    }

    /// When to call [`Keepalive::check`].
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// Checks the connection; `is_present` while the peer's presence arrives.
    pub(super) fn check(&mut self, now: Instant, is_present: bool) -> Action {
        if self.is_pinged {
            return Action::Dead;
        }
        let seldom =
            self.last_input + PING_WITH_PRESENCE + if self.is_patient { CHECK_EVERY } else { Duration::ZERO };
        if is_present && now < seldom {
            self.next = now + CHECK_EVERY;
            return Action::Wait;
        }
        (self.is_pinged, self.next) = (true, now + ANSWER);
        Action::Ping
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks until there is an action; returns it with the elapsed seconds.
    fn until_something(
        keepalive: &mut Keepalive,
        is_present: impl Fn(u64) -> bool,
        start: Instant,
    ) -> (Action, u64) {
        loop {
            let now = keepalive.next();
            let seconds = (now - start).as_secs();
            match keepalive.check(now, is_present(seconds)) {
                Action::Wait => assert!(keepalive.next() > now),
                action => return (action, seconds),
            }
        }
    }

    #[test]
    fn silence_leads_to_a_ping_and_no_answer_ends_the_connection() {
        let start = Instant::now();
        let mut keepalive = Keepalive::new(false, start);
        assert_eq!(until_something(&mut keepalive, |_| false, start), (Action::Ping, 10));
        assert_eq!(until_something(&mut keepalive, |_| true, start), (Action::Dead, 25));
        let mut patient = Keepalive::new(true, start);
        assert_eq!(until_something(&mut patient, |_| false, start), (Action::Ping, 13));
        patient.record_input(start + Duration::from_secs(14));
        assert_eq!(until_something(&mut patient, |_| false, start), (Action::Ping, 27));
    }

    #[test]
    fn while_presence_arrives_pings_are_rare_and_they_follow_soon_after_it_ends() {
        let start = Instant::now();
        let ask = |is_patient, present_for: u64| {
            until_something(&mut Keepalive::new(is_patient, start), |seconds| seconds < present_for, start)
        };
        assert_eq!(ask(false, 1000), (Action::Ping, 61));
        assert_eq!(ask(true, 1000), (Action::Ping, 64));
        for gone in [11, 20, 30, 45] {
            let (action, at) = ask(false, gone);
            assert!(action == Action::Ping && (gone..=gone + 3).contains(&at), "{gone}: {at}");
        }
    }
}
