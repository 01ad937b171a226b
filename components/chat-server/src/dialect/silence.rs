//! When input without a newline counts as a message.
//!
//! Some clients never send a newline: each write is a message, and silence ends it. Others end every line, but their lines arrive in
//! pieces: in several small writes, typed key by key, or delayed by a link that loses segments. A client does not announce its kind; this
//! module infers it from its input. It uses no clock: it is told what arrived, and returns how long to wait.
//!
//! | the session so far | the buffered input | silence ends it after |
//! | --- | --- | --- |
//! | a newline ended a message after the name | anything | never |
//! | silence ended a message | looks complete, came in one piece | `quiet` |
//! | | looks incomplete, or came in pieces | [`PARTIAL`], more on a slow link |
//! | no message yet, peer on this machine | looks complete, came in one piece | [`FIRST`] |
//! | | looks incomplete, or came in pieces, or is the name | [`PARTIAL`] |
//! | no message yet, peer on another machine | anything | [`RETRANSMITTED`], more on a slow link |
//! | | was typed key by key | [`TYPED`] |
//!
//! The first message of a session is given this long because it determines for the rest of the session what ends messages. During a long
//! wait a client that sends no newlines may send its next message: the framer separates the two ([`Silence::paused`]).

use std::time::Duration;

/// For a peer on this machine, where nothing is lost: longer than a program pauses between the writes of one line.
const FIRST: Duration = Duration::from_millis(220);
/// The same for input that looks incomplete. The answer still arrives within 300 ms.
const PARTIAL: Duration = Duration::from_millis(240);
/// For other peers a segment and its retransmissions may be lost, and nothing shows that they were sent. On a link without delay Linux
/// retransmits after 0.2, 0.4, 0.8 and 1.6 s (`TCP_RTO_MIN`, RFC 6298, RFC 8985 7.2): at 5 % loss, all of these are lost for one line in
/// 100,000.
const RETRANSMITTED: Duration = Duration::from_millis(1800);
/// Each retransmission time grows with the round trip: before much was measured, the last four add up to 24 round trips.
const RETRANSMITTED_ROUND_TRIPS: u32 = 20;
/// The upper limit of the wait.
const LONGEST: Duration = Duration::from_secs(8);
/// A person whose terminal sends each key may search for the next one.
const TYPED: Duration = Duration::from_secs(10);
/// After this time a character with missing bytes is invalid.
const CUT_CHARACTER: Duration = Duration::from_millis(500);

/// The distance of the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Distance {
    /// On this machine.
    Local,
    /// On another machine, with this round trip time; segments may be lost.
    Remote(Duration),
}

/// What ends a session's messages, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// Only the name has arrived. Its newline is inconclusive: clients that end nothing else with a newline end their name with one.
    Unknown,
    Silence,
    /// A newline did once, so silence ends nothing from then on.
    Newline,
}

/// How a client sends its input.
#[derive(Debug, Clone)]
pub(crate) struct Silence {
    quiet: Duration,
    distance: Distance,
    ends: Ends,
    is_naming: bool,
    /// The reads in which the name arrived.
    name: Reads,
    /// The reads in which the buffered input arrived.
    rest: Reads,
}

/// A number of reads and their bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Reads {
    count: usize,
    bytes: usize,
}

impl Reads {
    fn are_several(self) -> bool {
        self.count > 1
    }

    /// Whether the reads are hardly longer than one key each.
    fn are_keys(self) -> bool {
        self.count > 2 && self.bytes <= 2 * self.count
    }
}

/// Whether input without a newline looks like a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Completeness {
    /// It could be a complete message.
    Complete,
    /// It could not.
    Partial,
    /// It ends within a character.
    CutCharacter,
}

impl Silence {
    /// Before the first byte.
    pub(crate) fn new(quiet: Duration) -> Self {
        let (name, rest) = (Reads::default(), Reads::default());
        Self { quiet, distance: Distance::Local, ends: Ends::Unknown, is_naming: true, name, rest }
    }

    /// Sets the distance of the peer.
    pub(crate) fn set_distance(&mut self, distance: Distance) {
        self.distance = distance;
    }

    /// Whether the next message is the name.
    pub(crate) fn is_naming(&self) -> bool {
        self.is_naming
    }

    /// The client is identified; messages follow.
    pub(crate) fn identified(&mut self) {
        self.is_naming = false;
    }

    /// Records a read of this many bytes.
    pub(crate) fn received(&mut self, bytes: usize) {
        self.rest.count += 1;
        self.rest.bytes += bytes;
    }

    /// The peer is a telnet client, which ends every line.
    pub(crate) fn telnet(&mut self) {
        self.ends = Ends::Newline;
    }

    /// A newline ended a message; this many bytes remain.
    pub(crate) fn newline(&mut self, left: usize) {
        self.ended(Ends::Newline, left);
    }

    /// Silence ended a message; this many bytes remain.
    pub(crate) fn silence(&mut self, left: usize) {
        if self.ends != Ends::Newline {
            self.ended(Ends::Silence, left);
        }
    }

    /// Whether a gap was so long that silence may have ended the buffered message, although the session waited longer.
    pub(crate) fn paused(&self, gap: Duration) -> bool {
        !self.is_known() && gap >= self.quiet.max(FIRST)
    }

    fn ended(&mut self, ends: Ends, left: usize) {
        if self.is_naming {
            self.name = self.rest;
        } else {
            self.ends = ends;
        }
        self.rest = Reads { count: usize::from(left > 0), bytes: left };
    }

    /// Whether it is known what ends this session's messages.
    pub(crate) fn is_known(&self) -> bool {
        self.ends != Ends::Unknown
    }

    /// How long nothing must arrive until the buffered input counts as a message; `None` if it never does.
    pub(crate) fn idle_timeout(&self, look: Completeness) -> Option<Duration> {
        let name_was_typed = !self.is_known() && self.name.are_keys();
        let in_pieces = self.rest.are_several() || !self.is_known() && self.name.are_several();
        Some(match (self.ends, look) {
            (Ends::Newline, _) => return None,
            (Ends::Unknown | Ends::Silence, _) if name_was_typed || self.rest.are_keys() => TYPED,
            (Ends::Unknown | Ends::Silence, Completeness::CutCharacter) => {
                self.timeout_for_partial().max(CUT_CHARACTER)
            }
            (Ends::Unknown | Ends::Silence, Completeness::Partial) => self.timeout_for_partial(),
            (Ends::Unknown | Ends::Silence, Completeness::Complete) if in_pieces => {
                self.timeout_for_partial()
            }
            (Ends::Unknown, Completeness::Complete) => self.timeout_for_first(FIRST),
            (Ends::Silence, Completeness::Complete) => self.quiet,
        })
    }

    fn timeout_for_partial(&self) -> Duration {
        let idle_timeout = match (self.ends, self.distance) {
            (Ends::Silence, Distance::Remote(round_trip)) => {
                self.quiet.max((PARTIAL + 10 * round_trip).min(LONGEST))
            }
            (Ends::Unknown | Ends::Silence | Ends::Newline, _) => self.timeout_for_first(PARTIAL),
        };
        // A client that sent a single byte probably writes byte by byte.
        if self.rest.bytes == 1 { idle_timeout.max(4 * self.quiet.max(PARTIAL)) } else { idle_timeout }
    }

    /// The timeout for a first message: `here` for a peer on this machine, longer where segments may be lost.
    fn timeout_for_first(&self, here: Duration) -> Duration {
        self.quiet.max(match self.distance {
            Distance::Local => here,
            Distance::Remote(round_trip) => {
                (RETRANSMITTED + RETRANSMITTED_ROUND_TRIPS * round_trip).min(LONGEST)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A session whose name arrived in these reads.
    fn identified(pieces: &[usize]) -> Silence {
        let mut silence = Silence::new(100 * MS);
        pieces.iter().for_each(|bytes| silence.received(*bytes));
        silence.newline(0);
        silence.identified();
        silence
    }

    fn with(mut silence: Silence, pieces: &[usize]) -> Silence {
        pieces.iter().for_each(|bytes| silence.received(*bytes));
        silence
    }

    #[test]
    fn silence_ends_nothing_once_a_newline_ended_a_message() {
        let mut silence = with(identified(&[6]), &[8]);
        silence.newline(0);
        for look in [Completeness::Complete, Completeness::Partial, Completeness::CutCharacter] {
            assert_eq!(with(silence.clone(), &[3]).idle_timeout(look), None);
        }
        silence.silence(0);
        assert_eq!(
            silence.idle_timeout(Completeness::Complete),
            None,
            "the end of the stream changes nothing"
        );
    }

    #[test]
    fn a_client_that_sends_no_newline_is_answered_soon() {
        let mut silence = with(identified(&[6]), &[7]);
        let first = silence.idle_timeout(Completeness::Complete).unwrap();
        let part = silence.idle_timeout(Completeness::Partial).unwrap();
        assert!(first < 300 * MS && part < 300 * MS, "{first:?} {part:?}");
        silence.silence(0);
        assert_eq!(with(silence.clone(), &[7]).idle_timeout(Completeness::Complete), Some(100 * MS));
        assert_eq!(
            with(silence, &[5, 9]).idle_timeout(Completeness::Complete),
            Some(PARTIAL),
            "a piece of one that was cut"
        );
    }

    #[test]
    fn a_name_without_a_newline_is_answered_soon() {
        assert_eq!(with(Silence::new(100 * MS), &[5]).idle_timeout(Completeness::Partial), Some(PARTIAL));
        let byte = with(Silence::new(100 * MS), &[1]);
        assert_eq!(byte.idle_timeout(Completeness::Partial), Some(4 * PARTIAL));
    }

    /// Linux's retransmissions on a link without delay, and on one with a round trip of 300 ms of which little was measured.
    #[test]
    fn four_losses_on_the_way_from_another_machine_are_waited_for() {
        for (round_trip, fourth) in [(Duration::ZERO, 1600 * MS), (300 * MS, 7100 * MS)] {
            let mut silence = identified(&[6]);
            silence.set_distance(Distance::Remote(round_trip));
            for look in [Completeness::Complete, Completeness::Partial, Completeness::CutCharacter] {
                let idle_timeout = with(silence.clone(), &[7]).idle_timeout(look).unwrap();
                assert!(idle_timeout > fourth + round_trip, "{round_trip:?}: {idle_timeout:?}");
            }
            let name = with(Silence { is_naming: true, ..silence.clone() }, &[5]);
            assert!(name.idle_timeout(Completeness::Partial).unwrap() > fourth, "{round_trip:?}");
            silence.silence(0);
            assert_eq!(
                with(silence, &[7]).idle_timeout(Completeness::Complete),
                Some(100 * MS),
                "it is known by then"
            );
        }
    }

    #[test]
    fn no_distance_is_waited_for_for_ever() {
        let mut silence = with(identified(&[6]), &[7]);
        silence.set_distance(Distance::Remote(7000 * MS));
        assert_eq!(silence.idle_timeout(Completeness::Complete), Some(LONGEST));
        assert_eq!(silence.idle_timeout(Completeness::Partial), Some(LONGEST));
    }

    #[test]
    fn typed_keys_are_waited_for() {
        let typed = with(identified(&[1, 1, 1, 1]), &[6]);
        assert_eq!(typed.idle_timeout(Completeness::Complete), Some(TYPED), "the name was typed");
        let typing = with(identified(&[6]), &[1, 1, 1, 1, 1, 1]);
        assert_eq!(typing.idle_timeout(Completeness::Complete), Some(TYPED));
        assert_eq!(
            with(identified(&[1, 5]), &[7]).idle_timeout(Completeness::Complete),
            Some(PARTIAL),
            "a name in two writes"
        );
    }

    #[test]
    fn the_operator_may_wait_longer() {
        let mut silence = Silence::new(8000 * MS);
        silence.identified();
        assert_eq!(with(silence.clone(), &[7]).idle_timeout(Completeness::Complete), Some(8000 * MS));
        assert_eq!(with(silence, &[7]).idle_timeout(Completeness::Partial), Some(8000 * MS));
    }
}
