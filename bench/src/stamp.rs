//! The stamp of every measured message: its sender, number and intended time.
//!
//! Its encoding passes every protocol unchanged, so that it can be found in any protocol's output.

use std::time::Duration;

/// The size of a body, of which the stamp is the beginning.
pub const BODY_BYTES: usize = 64;
/// Begins a stamp. It occurs neither in the protocols' own texts nor in times.
const MARK: u8 = b'$';
/// The mark, eight digits of the sender, eight of the number, sixteen of the time.
const STAMP_BYTES: usize = 1 + 8 + 8 + 16;
const HEX: &[u8; 16] = b"0123456789abcdef";

/// The identity of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The index of the sender.
    pub sender: u32,
    /// The index of the message, from 0.
    pub number: u32,
    /// The intended time since the start of the run; the delay after it is the latency.
    pub intended: Duration,
}

impl Stamp {
    /// The body that contains it.
    #[must_use]
    pub fn body(self) -> [u8; BODY_BYTES] {
        let mut body = [b'.'; BODY_BYTES];
        body[0] = MARK;
        digits(self.sender.into(), &mut body[1..9]);
        digits(self.number.into(), &mut body[9..17]);
        let nanos = u64::try_from(self.intended.as_nanos()).expect("a run is shorter than five centuries");
        digits(nanos, &mut body[17..STAMP_BYTES]);
        body
    }

    /// The first stamp in these bytes.
    #[must_use]
    pub fn find(bytes: &[u8]) -> Option<Self> {
        let at = memchr::memchr(MARK, bytes)?;
        let stamp = bytes.get(at..at + STAMP_BYTES)?;
        Some(Self {
            sender: u32::try_from(number(&stamp[1..9])?).ok()?,
            number: u32::try_from(number(&stamp[9..17])?).ok()?,
            intended: Duration::from_nanos(number(&stamp[17..])?),
        })
    }
}

fn digits(mut value: u64, place: &mut [u8]) {
    for digit in place.iter_mut().rev() {
        *digit = HEX[(value & 15) as usize];
        value >>= 4;
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    digits
        .iter()
        .try_fold(0_u64, |value, digit| Some(value << 4 | u64::from(char::from(*digit).to_digit(16)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_stamp_is_found_in_whatever_stands_around_it(sender: u32, number: u32, nanos: u64, around in "[a-z{}:\" ]{0,40}") {
            let stamp = Stamp { sender, number, intended: Duration::from_nanos(nanos) };
            let mut bytes = around.clone().into_bytes();
            bytes.extend_from_slice(&stamp.body());
            bytes.extend_from_slice(around.as_bytes());
            prop_assert_eq!(Stamp::find(&bytes), Some(stamp));
        }

        #[test]
        fn other_bytes_hold_none(bytes: Vec<u8>) {
            let _ = Stamp::find(&bytes);
        }
    }

    #[test]
    fn half_a_stamp_is_none() {
        let body = Stamp { sender: 1, number: 2, intended: Duration::from_secs(3) }.body();
        assert_eq!(Stamp::find(&body[..20]), None);
    }
}
