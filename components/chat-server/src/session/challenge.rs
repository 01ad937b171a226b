//! Somebody without a token wants the name of this session: its peer must show that it lives, or the name is free.
//!
//! The life of a challenge: a login that finds the name taken asks the user's sessions ([`Outlet::challenge`]) → each has its peer's TCP
//! asked, every second → what it acknowledges shows that it lives, and the login is refused → nothing within [`PATIENCE`] of being asked,
//! and the session ends. Nobody is asked anything that a client could notice.
//!
//! A peer that reads slowly, or not at all for a while, has no room for what waits here. Then the kernel asks when it likes, and more seldom
//! each time: only a question that stays unanswered tells against such a peer, and until one does it keeps its name.
//!
//! [`Outlet::challenge`]: crate::delivery::outlet::Outlet::challenge

use std::time::Duration;

use kit::send_queue::Pulse;
use tokio::time::Instant;

use super::Session;

/// A peer from which nothing came for this long, though it was asked every second, is gone.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// A peer that was heard this recently need not be asked.
const RECENT: Duration = Duration::from_secs(1);
/// The first look; each next one is twice as long after.
const FIRST_LOOK: Duration = Duration::from_millis(10);
const SLOWEST_LOOK: Duration = Duration::from_millis(250);

/// Why a peer that does not answer is disconnected.
pub(super) const VANISHED: &str = "it vanished, and somebody else came for the name";

/// A challenge that is not decided.
#[derive(Debug, Clone, Copy)]
pub(super) struct Challenge {
    begun: Instant,
    /// The peer has owed an answer since then.
    asked_since: Option<Instant>,
    look_at: Instant,
    pause: Duration,
}

/// What a look at the peer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Lives,
    Vanished,
    Undecided,
}

impl Challenge {
    fn new(now: Instant) -> Self {
        Self { begun: now, asked_since: None, look_at: now, pause: FIRST_LOOK }
    }

    /// Decides by what the kernel knows now.
    fn look(&mut self, now: Instant, pulse: Option<Pulse>) -> Verdict {
        let waited = now - self.begun;
        let Some(Pulse { heard, is_asked }) = pulse else { return Verdict::Lives };
        if heard <= waited.max(RECENT) {
            return Verdict::Lives;
        }
        self.asked_since = is_asked.then(|| self.asked_since.unwrap_or(now));
        (self.look_at, self.pause) = (now + self.pause, (self.pause * 2).min(SLOWEST_LOOK));
        match self.asked_since {
            Some(since) if now - since >= PATIENCE => Verdict::Vanished,
            None if waited >= PATIENCE => Verdict::Lives,
            Some(_) | None => Verdict::Undecided,
        }
    }
}

impl Session {
    /// When to look next whether the peer answered.
    pub(super) fn challenge_wakes_at(&self) -> Option<Instant> {
        self.challenge.map(|challenge| challenge.look_at)
    }

    /// Looks whether the peer answered; says whether it is gone.
    pub(super) fn is_vanished(&mut self, now: Instant) -> bool {
        if !self.member.outlet.is_challenged() {
            return false;
        }
        let mut challenge = match self.challenge {
            Some(challenge) if now < challenge.look_at => return false,
            Some(challenge) => challenge,
            None => {
                self.wire.probe(true);
                Challenge::new(now)
            }
        };
        let pulse = if self.wire.is_proxied {
            // The proxy lives; nothing can be known of who is behind it.
            None
        } else {
            self.server.send_queue.pulse(&self.wire.stream, self.wire.local, self.wire.peer)
        };
        let verdict = challenge.look(now, pulse);
        self.challenge = Some(challenge);
        if verdict == Verdict::Lives {
            self.wire.probe(false);
            self.challenge = None;
            self.member.outlet.shows_life();
        }
        verdict == Verdict::Vanished
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(250);

    /// What is decided about a peer, and when, of whom the kernel knows this so long after the challenge.
    fn decide(pulse: impl Fn(Duration) -> Pulse) -> (Verdict, Duration) {
        let begun = Instant::now();
        let mut challenge = Challenge::new(begun);
        let mut waited = Duration::ZERO;
        loop {
            match challenge.look(begun + waited, Some(pulse(waited))) {
                Verdict::Undecided => waited += TICK,
                verdict => return (verdict, waited),
            }
        }
    }

    #[test]
    fn a_peer_that_answers_lives() {
        let idle = |waited: Duration| match waited {
            Duration::ZERO => Pulse { heard: 9 * PATIENCE, is_asked: false },
            _ => Pulse { heard: waited, is_asked: false },
        };
        assert_eq!(decide(idle), (Verdict::Lives, TICK));
        let busy = |_| Pulse { heard: RECENT / 2, is_asked: true };
        assert_eq!(decide(busy), (Verdict::Lives, Duration::ZERO));
    }

    #[test]
    fn a_peer_that_leaves_what_it_is_asked_unanswered_is_gone() {
        let with_unacknowledged = |waited| Pulse { heard: 2 * PATIENCE + waited, is_asked: true };
        assert_eq!(decide(with_unacknowledged), (Verdict::Vanished, PATIENCE));
        let asked_later = |waited| Pulse { heard: 2 * PATIENCE + waited, is_asked: waited >= TICK };
        assert_eq!(decide(asked_later), (Verdict::Vanished, PATIENCE + TICK));
    }

    #[test]
    fn a_peer_without_room_that_is_not_asked_meanwhile_keeps_its_name() {
        let stalled = |waited| Pulse { heard: 2 * PATIENCE + waited, is_asked: false };
        assert_eq!(decide(stalled), (Verdict::Lives, PATIENCE));
        // Asked late, and the answer is on its way.
        let asked_late = |waited| match waited {
            waited if waited < 4 * RECENT => Pulse { heard: 2 * PATIENCE + waited, is_asked: false },
            waited if waited < 6 * RECENT => Pulse { heard: 2 * PATIENCE + waited, is_asked: true },
            _ => Pulse { heard: Duration::ZERO, is_asked: false },
        };
        assert_eq!(decide(asked_late), (Verdict::Lives, 6 * RECENT));
    }
}
