//! When bytes without a newline count as a message.
//!
//! Some clients end no message with a newline: one write is one message, and silence is its end. Others end every line, but their lines
//! arrive in pieces: written in several small writes, typed key by key, held up by a link that loses segments. Nobody says which kind a
//! client is; this decides from what its bytes looked like. Knows nothing of clocks: it is told what came, and tells how long to wait.
//!
//! | the session so far | what lies there | silence is a message after |
//! | --- | --- | --- |
//! | a message after the name ended with a newline | anything | never |
//! | a message ended by silence | looks whole, came in one piece | `quiet` |
//! | | looks unfinished, or came in pieces | [`PART`], more on a slow link |
//! | no message yet, from this machine | looks whole, came in one piece | [`FIRST`] |
//! | | looks unfinished, or came in pieces, or is the name | [`PART`] |
//! | no message yet, from another machine | anything | [`LOST`], more on a slow link |
//! | | was typed key by key | [`TYPED`] |
//!
//! The first message of a session is waited for this long because it shows for the rest of the session what ends messages. Where the
//! wait is long, a client that ends none with a newline may send the next one meanwhile: the framer tells the two apart ([`Silence::paused`]).

use std::time::Duration;

/// From a peer on this machine, where nothing is lost: longer than a program pauses between the writes of one line.
const FIRST: Duration = Duration::from_millis(220);
/// The same for what looks unfinished. An answer still comes within 300 ms.
const PART: Duration = Duration::from_millis(240);
/// From anywhere else a segment may be lost, and so may be what is sent instead, and nothing shows that it was sent. On a link without
/// delay Linux sends it again after 0.2, 0.4, 0.8 and 1.6 s (`TCP_RTO_MIN`, RFC 6298, RFC 8985 7.2): at 5 % loss, all of them are lost for
/// one line of 100,000.
const LOST: Duration = Duration::from_millis(1800);
/// Each of these times grows with the round trip: before much was measured, the four last 24 of them.
const LOST_ROUND_TRIPS: u32 = 20;
/// …but it is never waited longer than this.
const LONGEST: Duration = Duration::from_secs(8);
/// A person at a terminal that sends each key may look for the next one.
const TYPED: Duration = Duration::from_secs(10);
/// A character whose second half does not come within this time is broken.
const CUT_CHARACTER: Duration = Duration::from_millis(500);

/// How far the peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Distance {
    /// On this machine.
    Here,
    /// A round trip to it takes this long, and may lose something.
    Away(Duration),
}

/// What ends a session's messages, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// There was no message yet, only a name. Clients that end nothing else end that with a newline, so it says nothing.
    Unknown,
    /// Silence did.
    Silence,
    /// A newline did, once. Silence ends nothing from then on.
    Newline,
}

/// What is known of how a client sends.
#[derive(Debug, Clone)]
pub(crate) struct Silence {
    quiet: Duration,
    distance: Distance,
    ends: Ends,
    is_naming: bool,
    /// How the name came.
    name: Pieces,
    /// How what lies there came.
    rest: Pieces,
}

/// In how many reads how many bytes came.
#[derive(Debug, Clone, Copy, Default)]
struct Pieces {
    count: usize,
    bytes: usize,
}

impl Pieces {
    fn are_several(self) -> bool {
        self.count > 1
    }

    /// Hardly more than one key each.
    fn are_keys(self) -> bool {
        self.count > 2 && self.bytes <= 2 * self.count
    }
}

/// What lies there without a newline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// It could be a message as it stands.
    Whole,
    /// It could not.
    Part,
    /// It ends within a character.
    CutCharacter,
}

impl Silence {
    /// Nothing has come.
    pub(crate) fn new(quiet: Duration) -> Self {
        let (name, rest) = (Pieces::default(), Pieces::default());
        Self { quiet, distance: Distance::Here, ends: Ends::Unknown, is_naming: true, name, rest }
    }

    /// So far is the peer.
    pub(crate) fn comes_from(&mut self, distance: Distance) {
        self.distance = distance;
    }

    /// What comes now is the name.
    pub(crate) fn is_naming(&self) -> bool {
        self.is_naming
    }

    /// The name is known; what comes now is messages.
    pub(crate) fn named(&mut self) {
        self.is_naming = false;
    }

    /// So many bytes came in one read.
    pub(crate) fn came(&mut self, bytes: usize) {
        self.rest.count += 1;
        self.rest.bytes += bytes;
    }

    /// A telnet client, which ends every line.
    pub(crate) fn telnet(&mut self) {
        self.ends = Ends::Newline;
    }

    /// A newline ended a message, behind which so many bytes lie.
    pub(crate) fn newline(&mut self, left: usize) {
        self.ended(Ends::Newline, left);
    }

    /// Silence ended a message, behind which so many bytes lie.
    pub(crate) fn silence(&mut self, left: usize) {
        if self.ends != Ends::Newline {
            self.ended(Ends::Silence, left);
        }
    }

    /// Whether nothing came for so long that silence may have ended what lies there, though it was waited longer.
    pub(crate) fn paused(&self, gap: Duration) -> bool {
        !self.is_known() && gap >= self.quiet.max(FIRST)
    }

    fn ended(&mut self, ends: Ends, left: usize) {
        if self.is_naming {
            self.name = self.rest;
        } else {
            self.ends = ends;
        }
        self.rest = Pieces { count: usize::from(left > 0), bytes: left };
    }

    /// Whether a message has shown what ends this session's messages.
    pub(crate) fn is_known(&self) -> bool {
        self.ends != Ends::Unknown
    }

    /// How long nothing must come until what lies there is a message; `None` where it never is.
    pub(crate) fn patience(&self, look: Look) -> Option<Duration> {
        let name_was_typed = !self.is_known() && self.name.are_keys();
        let in_pieces = self.rest.are_several() || !self.is_known() && self.name.are_several();
        Some(match (self.ends, look) {
            (Ends::Newline, _) => return None,
            (Ends::Unknown | Ends::Silence, _) if name_was_typed || self.rest.are_keys() => TYPED,
            (Ends::Unknown | Ends::Silence, Look::CutCharacter) => self.for_a_part().max(CUT_CHARACTER),
            (Ends::Unknown | Ends::Silence, Look::Part) => self.for_a_part(),
            (Ends::Unknown | Ends::Silence, Look::Whole) if in_pieces => self.for_a_part(),
            (Ends::Unknown, Look::Whole) => self.for_the_first(FIRST),
            (Ends::Silence, Look::Whole) => self.quiet,
        })
    }

    fn for_a_part(&self) -> Duration {
        let patience = match (self.ends, self.distance) {
            (Ends::Silence, Distance::Away(round_trip)) => {
                self.quiet.max((PART + 10 * round_trip).min(LONGEST))
            }
            (Ends::Unknown | Ends::Silence | Ends::Newline, _) => self.for_the_first(PART),
        };
        // Whoever writes a single byte writes byte by byte.
        if self.rest.bytes == 1 { patience.max(4 * self.quiet.max(PART)) } else { patience }
    }

    /// How long nothing must come until it is the first message, where nothing is lost on the way and where something may be.
    fn for_the_first(&self, here: Duration) -> Duration {
        self.quiet.max(match self.distance {
            Distance::Here => here,
            Distance::Away(round_trip) => (LOST + LOST_ROUND_TRIPS * round_trip).min(LONGEST),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Somebody whose name came in these pieces.
    fn named(pieces: &[usize]) -> Silence {
        let mut silence = Silence::new(100 * MS);
        pieces.iter().for_each(|bytes| silence.came(*bytes));
        silence.newline(0);
        silence.named();
        silence
    }

    fn with(mut silence: Silence, pieces: &[usize]) -> Silence {
        pieces.iter().for_each(|bytes| silence.came(*bytes));
        silence
    }

    #[test]
    fn silence_ends_nothing_once_a_newline_ended_a_message() {
        let mut silence = with(named(&[6]), &[8]);
        silence.newline(0);
        for look in [Look::Whole, Look::Part, Look::CutCharacter] {
            assert_eq!(with(silence.clone(), &[3]).patience(look), None);
        }
        silence.silence(0);
        assert_eq!(silence.patience(Look::Whole), None, "the end of the stream changes nothing");
    }

    #[test]
    fn a_client_that_sends_no_newline_is_answered_soon() {
        let mut silence = with(named(&[6]), &[7]);
        let first = silence.patience(Look::Whole).unwrap();
        let part = silence.patience(Look::Part).unwrap();
        assert!(first < 300 * MS && part < 300 * MS, "{first:?} {part:?}");
        silence.silence(0);
        assert_eq!(with(silence.clone(), &[7]).patience(Look::Whole), Some(100 * MS));
        assert_eq!(with(silence, &[5, 9]).patience(Look::Whole), Some(PART), "a piece of one that was cut");
    }

    #[test]
    fn a_name_without_a_newline_is_answered_soon() {
        assert_eq!(with(Silence::new(100 * MS), &[5]).patience(Look::Part), Some(PART));
        let byte = with(Silence::new(100 * MS), &[1]);
        assert_eq!(byte.patience(Look::Part), Some(4 * PART));
    }

    /// What Linux makes of a link without delay, and of one with a round trip of 300 ms of which little was measured yet.
    #[test]
    fn what_is_lost_four_times_is_waited_for_on_the_way_from_another_machine() {
        for (round_trip, fourth) in [(Duration::ZERO, 1600 * MS), (300 * MS, 7100 * MS)] {
            let mut silence = named(&[6]);
            silence.comes_from(Distance::Away(round_trip));
            for look in [Look::Whole, Look::Part, Look::CutCharacter] {
                let patience = with(silence.clone(), &[7]).patience(look).unwrap();
                assert!(patience > fourth + round_trip, "{round_trip:?}: {patience:?}");
            }
            let name = with(Silence { is_naming: true, ..silence.clone() }, &[5]);
            assert!(name.patience(Look::Part).unwrap() > fourth, "{round_trip:?}");
            silence.silence(0);
            assert_eq!(with(silence, &[7]).patience(Look::Whole), Some(100 * MS), "it is known by then");
        }
    }

    #[test]
    fn no_distance_is_waited_for_for_ever() {
        let mut silence = with(named(&[6]), &[7]);
        silence.comes_from(Distance::Away(7000 * MS));
        assert_eq!(silence.patience(Look::Whole), Some(LONGEST));
        assert_eq!(silence.patience(Look::Part), Some(LONGEST));
    }

    #[test]
    fn keys_are_waited_for() {
        let typed = with(named(&[1, 1, 1, 1]), &[6]);
        assert_eq!(typed.patience(Look::Whole), Some(TYPED), "the name was typed");
        let typing = with(named(&[6]), &[1, 1, 1, 1, 1, 1]);
        assert_eq!(typing.patience(Look::Whole), Some(TYPED));
        assert_eq!(with(named(&[1, 5]), &[7]).patience(Look::Whole), Some(PART), "a name in two writes");
    }

    #[test]
    fn the_operator_may_wait_longer() {
        let mut silence = Silence::new(8000 * MS);
        silence.named();
        assert_eq!(with(silence.clone(), &[7]).patience(Look::Whole), Some(8000 * MS));
        assert_eq!(with(silence, &[7]).patience(Look::Part), Some(8000 * MS));
    }
}
