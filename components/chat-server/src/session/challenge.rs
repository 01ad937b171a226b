//! Somebody without a token wants the name of this session: its peer must show that it lives, or the name is free.
//!
//! The life of a challenge: a login that finds the name taken asks the user's sessions ([`Outlet::challenge`]) → each has its peer's TCP
//! asked, every second → what it acknowledges shows that it lives, and the login is refused → nothing within [`SIGN_OF_LIFE`] of being asked,
//! and the session ends. Nobody is asked anything that a client could notice.
//!
//! A peer that reads slowly, or not at all for a while, has no room for what waits here. Then the kernel asks when it likes, and more seldom
//! each time: only a question that stays unanswered tells against such a peer, and until one does it keeps its name.
//!
//! [`Outlet::challenge`]: crate::delivery::outlet::Outlet::challenge

use std::time::Duration;

use kit::send_queue::{Pulse, SendQueue};
use tokio::time::Instant;

use crate::access::admission::SIGN_OF_LIFE;
use crate::delivery::outlet::Outlet;
use crate::wire::Wire;

/// A peer that was heard this recently need not be asked.
const RECENT: Duration = Duration::from_secs(1);
/// The first look; each next one is twice as long after.
const FIRST_LOOK: Duration = Duration::from_millis(10);
const SLOWEST_LOOK: Duration = Duration::from_millis(250);

/// Why a peer that does not answer is disconnected.
pub(super) const VANISHED: &str = "it vanished, and somebody else came for the name";

/// Whether the session is challenged.
#[derive(Debug, Default)]
pub(super) struct Challenge(Option<Undecided>);

/// A challenge that is not decided.
#[derive(Debug, Clone, Copy)]
struct Undecided {
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
    /// When to look next whether the peer answered.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        self.0.map(|undecided| undecided.look_at)
    }

    /// Looks whether the peer of a session that is challenged answered; says whether it is gone.
    pub(super) fn is_lost(&mut self, outlet: &Outlet, wire: &Wire, queue: &SendQueue, now: Instant) -> bool {
        if !outlet.is_challenged() {
            return false;
        }
        let mut undecided = match self.0 {
            Some(undecided) if now < undecided.look_at => return false,
            Some(undecided) => undecided,
            None => {
                wire.probe(true);
                Undecided::new(now)
            }
        };
        // Of who is behind a proxy, which lives, nothing can be known.
        let pulse = if wire.is_proxied { None } else { queue.pulse(&wire.stream, wire.local, wire.peer) };
        let verdict = undecided.look(now, pulse);
        self.0 = Some(undecided);
        if verdict == Verdict::Lives {
            wire.probe(false);
            self.0 = None;
            outlet.shows_life();
        }
        verdict == Verdict::Vanished
    }
}

impl Undecided {
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
            Some(since) if now - since >= SIGN_OF_LIFE => Verdict::Vanished,
            None if waited >= SIGN_OF_LIFE => Verdict::Lives,
            Some(_) | None => Verdict::Undecided,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(250);

    /// What is decided about a peer, and when, of whom the kernel knows this so long after the challenge.
    fn decide(pulse: impl Fn(Duration) -> Pulse) -> (Verdict, Duration) {
        let begun = Instant::now();
        let mut challenge = Undecided::new(begun);
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
            Duration::ZERO => Pulse { heard: 9 * SIGN_OF_LIFE, is_asked: false },
            _ => Pulse { heard: waited, is_asked: false },
        };
        assert_eq!(decide(idle), (Verdict::Lives, TICK));
        let busy = |_| Pulse { heard: RECENT / 2, is_asked: true };
        assert_eq!(decide(busy), (Verdict::Lives, Duration::ZERO));
    }

    #[test]
    fn a_peer_that_leaves_what_it_is_asked_unanswered_is_gone() {
        let with_unacknowledged = |waited| Pulse { heard: 2 * SIGN_OF_LIFE + waited, is_asked: true };
        assert_eq!(decide(with_unacknowledged), (Verdict::Vanished, SIGN_OF_LIFE));
        let asked_later = |waited| Pulse { heard: 2 * SIGN_OF_LIFE + waited, is_asked: waited >= TICK };
        assert_eq!(decide(asked_later), (Verdict::Vanished, SIGN_OF_LIFE + TICK));
    }

    #[test]
    fn a_peer_without_room_that_is_not_asked_meanwhile_keeps_its_name() {
        let stalled = |waited| Pulse { heard: 2 * SIGN_OF_LIFE + waited, is_asked: false };
        assert_eq!(decide(stalled), (Verdict::Lives, SIGN_OF_LIFE));
        // Asked late, and the answer is on its way.
        let asked_late = |waited| match waited {
            waited if waited < 4 * RECENT => Pulse { heard: 2 * SIGN_OF_LIFE + waited, is_asked: false },
            waited if waited < 6 * RECENT => Pulse { heard: 2 * SIGN_OF_LIFE + waited, is_asked: true },
            _ => Pulse { heard: Duration::ZERO, is_asked: false },
        };
        assert_eq!(decide(asked_late), (Verdict::Lives, 6 * RECENT));
    }
}
