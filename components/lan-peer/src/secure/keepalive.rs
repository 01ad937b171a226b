//! Whether the other side of a silent connection is there: when to ask, and when they are not. Pure state, told the time.
//!
//! Who hears their presence, which is one datagram for everybody, asks seldom: that saves most of what a quiet network of many nodes
//! sends. It is no proof, so we ask all the same; whoever forges presence can hide for [`SELDOM`] that somebody is gone.

use std::time::Duration;

use tokio::time::Instant;

/// After so much silence we ask,
const PING: Duration = Duration::from_secs(10);
/// or after so much while their presence is heard.
const SELDOM: Duration = Duration::from_secs(60);
/// That it is still heard is looked at this often. Also how much later one of both sides asks, so that mostly it is asked once.
const LOOK: Duration = Duration::from_secs(3);
/// They are not there when they have not answered for so long.
pub(super) const ANSWER: Duration = Duration::from_secs(15);

/// When they said something last, and when to look again.
#[derive(Debug)]
pub(super) struct Keepalive {
    is_patient: bool,
    heard: Instant,
    is_asked: bool,
    next: Instant,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beat {
    /// Nothing yet.
    Wait,
    /// Ask whether they are there.
    Ask,
    /// They are not.
    Dead,
}

impl Keepalive {
    /// They have just said something. The patient side asks later than the other.
    pub(super) fn new(is_patient: bool, now: Instant) -> Self {
        let next = now + PING + if is_patient { LOOK } else { Duration::ZERO };
        Self { is_patient, heard: now, is_asked: false, next }
    }

    /// They said something.
    pub(super) fn felt(&mut self, now: Instant) {
        *self = Self::new(self.is_patient, now);
    }

    /// When to call [`Keepalive::look`].
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// It is time to look; `is_present` when their presence is heard.
    pub(super) fn look(&mut self, now: Instant, is_present: bool) -> Beat {
        if self.is_asked {
            return Beat::Dead;
        }
        let seldom = self.heard + SELDOM + if self.is_patient { LOOK } else { Duration::ZERO };
        if is_present && now < seldom {
            self.next = now + LOOK;
            return Beat::Wait;
        }
        (self.is_asked, self.next) = (true, now + ANSWER);
        Beat::Ask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks whenever it is time, until something is to be done; says what, and after how many seconds.
    fn until_something(
        pulse: &mut Keepalive,
        is_present: impl Fn(u64) -> bool,
        start: Instant,
    ) -> (Beat, u64) {
        loop {
            let now = pulse.next();
            let seconds = (now - start).as_secs();
            match pulse.look(now, is_present(seconds)) {
                Beat::Wait => assert!(pulse.next() > now),
                beat => return (beat, seconds),
            }
        }
    }

    #[test]
    fn silence_is_asked_about_and_ends_it_when_nothing_comes() {
        let start = Instant::now();
        let mut pulse = Keepalive::new(false, start);
        assert_eq!(until_something(&mut pulse, |_| false, start), (Beat::Ask, 10));
        assert_eq!(until_something(&mut pulse, |_| true, start), (Beat::Dead, 25));
        let mut patient = Keepalive::new(true, start);
        assert_eq!(until_something(&mut patient, |_| false, start), (Beat::Ask, 13));
        patient.felt(start + Duration::from_secs(14));
        assert_eq!(until_something(&mut patient, |_| false, start), (Beat::Ask, 27));
    }

    #[test]
    fn while_presence_is_heard_it_is_asked_seldom_and_soon_after_it_ends() {
        let start = Instant::now();
        let ask = |is_patient, present_for: u64| {
            until_something(&mut Keepalive::new(is_patient, start), |seconds| seconds < present_for, start)
        };
        assert_eq!(ask(false, 1000), (Beat::Ask, 61));
        assert_eq!(ask(true, 1000), (Beat::Ask, 64));
        for gone in [11, 20, 30, 45] {
            let (beat, at) = ask(false, gone);
            assert!(beat == Beat::Ask && (gone..=gone + 3).contains(&at), "{gone}: {at}");
        }
    }
}
