//! Somebody without a token wants the name of this session: its peer must show that it lives, or the name is free.
//!
//! The life of a challenge: a login that finds the name taken asks the user's sessions ([`Outlet::challenge`]) → each has its peer's TCP
//! asked, every second → what it acknowledges shows that it lives, and the login is refused → nothing within [`PATIENCE`], and the session
//! ends. Nobody is asked anything that a client could notice.
//!
//! [`Outlet::challenge`]: crate::outlet::Outlet::challenge

use std::time::Duration;

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
    look_at: Instant,
    pause: Duration,
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
        let challenge = match self.challenge {
            Some(challenge) if now < challenge.look_at => return false,
            Some(challenge) => challenge,
            None => {
                self.wire.probe(true);
                Challenge { begun: now, look_at: now, pause: FIRST_LOOK }
            }
        };
        let heard = if self.wire.is_proxied {
            // The proxy lives; nothing can be known of who is behind it.
            None
        } else {
            self.server.send_queue.last_heard(&self.wire.stream, self.wire.local, self.wire.peer)
        };
        let waited = now - challenge.begun;
        if heard.is_none_or(|ago| ago <= waited.max(RECENT)) {
            self.wire.probe(false);
            self.challenge = None;
            self.member.outlet.shows_life();
            return false;
        }
        let pause = (challenge.pause * 2).min(SLOWEST_LOOK);
        self.challenge = Some(Challenge { look_at: now + challenge.pause, pause, ..challenge });
        waited >= PATIENCE
    }
}
