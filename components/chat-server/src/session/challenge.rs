//! A client without a token wants the name of this session, so its peer must prove that it is alive, or the name becomes free.
//!
//! The life of a challenge: a login that finds the name taken challenges the user's sessions ([`SessionHandle::challenge`]) → each has its
//! peer's TCP probed every second → an acknowledgement proves that the peer is alive, and the login is rejected → if none arrives within
//! [`SIGN_OF_LIFE`] of a probe, the session ends. Applications do not notice the probes.
//!
//! A peer that reads slowly, or not at all for a while, has a closed receive window. Then the kernel decides when to probe, and at growing
//! intervals: only an unanswered probe counts against such a peer, and until then it keeps its name.
//!
//! [`SessionHandle::challenge`]: crate::delivery::outlet::Outlet::challenge

use std::time::Duration;

use kit::send_queue::{Pulse, SendQueue};
use tokio::time::Instant;

use crate::access::admission::SIGN_OF_LIFE;
use crate::delivery::session_handle::SessionHandle;
use crate::wire::Wire;

/// A peer that sent something this recently need not be probed.
const RECENT: Duration = Duration::from_secs(1);
/// The delay of the first check; the delay doubles with each check.
const FIRST_CHECK: Duration = Duration::from_millis(10);
const SLOWEST_CHECK: Duration = Duration::from_millis(250);

/// The reason given when a peer that does not answer is disconnected.
pub(super) const PEER_VANISHED: &str = "it vanished, and somebody else came for the name";

/// The state of a challenge, if there is one.
#[derive(Debug, Default)]
pub(super) struct Challenge(Option<PendingChallenge>);

/// A challenge that is not decided.
#[derive(Debug, Clone, Copy)]
struct PendingChallenge {
    begun: Instant,
    /// Since when the peer has owed an answer.
    asked_since: Option<Instant>,
    look_at: Instant,
    pause: Duration,
}

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Lives,
    Vanished,
    PendingChallenge,
}

impl Challenge {
    /// When to check again whether the peer has answered.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        self.0.map(|undecided| undecided.look_at)
    }

    /// Checks the peer of a challenged session; returns whether it has vanished.
    pub(super) fn peer_vanished(
        &mut self,
        handle: &SessionHandle,
        wire: &Wire,
        queue: &SendQueue,
        now: Instant,
    ) -> bool {
        if !handle.is_challenged() {
            return false;
        }
        let mut undecided = match self.0 {
            Some(undecided) if now < undecided.look_at => return false,
            Some(undecided) => undecided,
            None => {
                wire.probe(true);
                PendingChallenge::new(now)
            }
        };
        // Behind a proxy, whose TCP answers, nothing is known about the client.
        let pulse = if wire.is_proxied { None } else { queue.pulse(&wire.stream, wire.local, wire.peer) };
        let verdict = undecided.check(now, pulse);
        self.0 = Some(undecided);
        if verdict == Verdict::Lives {
            wire.probe(false);
            self.0 = None;
            handle.confirm_alive();
        }
        verdict == Verdict::Vanished
    }
}

impl PendingChallenge {
    fn new(now: Instant) -> Self {
        Self { begun: now, asked_since: None, look_at: now, pause: FIRST_CHECK }
    }

    /// Decides by the kernel's state of the connection.
    fn check(&mut self, now: Instant, pulse: Option<Pulse>) -> Verdict {
        let waited = now - self.begun;
        let Some(Pulse { heard, is_asked }) = pulse else { return Verdict::Lives };
        if heard <= waited.max(RECENT) {
            return Verdict::Lives;
        }
        self.asked_since = is_asked.then(|| self.asked_since.unwrap_or(now));
        (self.look_at, self.pause) = (now + self.pause, (self.pause * 2).min(SLOWEST_CHECK));
        match self.asked_since {
            Some(since) if now - since >= SIGN_OF_LIFE => Verdict::Vanished,
            None if waited >= SIGN_OF_LIFE => Verdict::Lives,
            Some(_) | None => Verdict::PendingChallenge,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(250);

    /// The verdict on a peer, and when it falls, for this kernel state as a function of the time since the challenge.
    fn decide(pulse: impl Fn(Duration) -> Pulse) -> (Verdict, Duration) {
        let begun = Instant::now();
        let mut challenge = PendingChallenge::new(begun);
        let mut waited = Duration::ZERO;
        loop {
            match challenge.check(begun + waited, Some(pulse(waited))) {
                Verdict::PendingChallenge => waited += TICK,
                verdict => return (verdict, waited),
            }
        }
    }

    #[test]
    fn a_peer_that_answers_lives() {
        let idle = |waited: Duration| match waited {
            Duration::ZERO => Pulse { heard: 9 * SIGN_OF_LIFE, is_asked: false },
            _ => Pulse { heard: waited, is_asked: false },
        };
        assert_eq!(decide(idle), (Verdict::Lives, TICK));
        let busy = |_| Pulse { heard: RECENT / 2, is_asked: true };
        assert_eq!(decide(busy), (Verdict::Lives, Duration::ZERO));
    }

    #[test]
    fn a_peer_that_does_not_answer_a_probe_has_vanished() {
        let with_unacknowledged = |waited| Pulse { heard: 2 * SIGN_OF_LIFE + waited, is_asked: true };
        assert_eq!(decide(with_unacknowledged), (Verdict::Vanished, SIGN_OF_LIFE));
        let asked_later = |waited| Pulse { heard: 2 * SIGN_OF_LIFE + waited, is_asked: waited >= TICK };
        assert_eq!(decide(asked_later), (Verdict::Vanished, SIGN_OF_LIFE + TICK));
    }

    #[test]
    fn a_peer_with_a_closed_window_that_is_not_probed_keeps_its_name() {
        let stalled = |waited| Pulse { heard: 2 * SIGN_OF_LIFE + waited, is_asked: false };
        assert_eq!(decide(stalled), (Verdict::Lives, SIGN_OF_LIFE));
        // Probed late, and the answer is in flight.
        let asked_late = |waited| match waited {
            waited if waited < 4 * RECENT => Pulse { heard: 2 * SIGN_OF_LIFE + waited, is_asked: false },
            waited if waited < 6 * RECENT => Pulse { heard: 2 * SIGN_OF_LIFE + waited, is_asked: true },
            _ => Pulse { heard: Duration::ZERO, is_asked: false },
        };
        assert_eq!(decide(asked_late), (Verdict::Lives, 6 * RECENT));
    }
}
