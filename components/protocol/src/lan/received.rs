//! An incoming legacy message: arbitrary bytes. The readable part is shown, with a note about what is wrong with it.

use super::legacy::floor;
use crate::Body;
use crate::limits::BODY_BYTES;

/// The bytes received over a connection. The reader stops after more than [`BODY_BYTES`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The bytes, in order.
    pub bytes: Vec<u8>,
    /// Whether the connection was closed normally, or more arrived than is read.
    pub is_complete: bool,
}

/// A fault of a message that is still shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is longer than the limit.
    Cut,
    /// Some of it was not UTF-8, and is shown as U+FFFD.
    NotUtf8,
    /// The connection broke, or the sender was too slow.
    Unfinished,
}

impl Received {
    /// The readable text; `None` if nothing of it is left.
    #[must_use]
    pub fn text(&self) -> Option<Body> {
        let text = String::from_utf8_lossy(&self.bytes);
        Body::parse(&text[..floor(&text, BODY_BYTES)]).ok()
    }

    /// All faults of the message.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let is_cut = self.bytes.len() > BODY_BYTES;
        let broken = std::str::from_utf8(&self.bytes).err();
        // A character that is split by our limit is not the sender's fault.
        let is_split = |error: std::str::Utf8Error| is_cut && error.valid_up_to() + 4 > BODY_BYTES;
        let faults = [
            (is_cut, Fault::Cut),
            (broken.is_some_and(|error| !is_split(error)), Fault::NotUtf8),
            (!self.is_complete, Fault::Unfinished),
        ];
        faults.into_iter().filter_map(|(is_so, fault)| is_so.then_some(fault)).collect()
    }
}

impl Fault {
    /// The text to show beside the message.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Cut => "cut: it was longer than 16 KiB",
            Self::NotUtf8 => "not all of it was UTF-8",
            Self::Unfinished => "never finished",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(bytes: &[u8], is_complete: bool) -> Received {
        Received { bytes: bytes.to_owned(), is_complete }
    }

    #[test]
    fn what_can_be_read_is_shown_with_what_is_wrong_with_it() {
        let fine = message("grüße\n".as_bytes(), true);
        assert_eq!((fine.text().unwrap().as_str(), fine.faults()), ("grüße", vec![]));
        let bad = message(b"a\xffb\x1b[31m", false);
        assert_eq!(bad.text().unwrap().as_str(), "a\u{fffd}b[31m");
        assert_eq!(bad.faults(), [Fault::NotUtf8, Fault::Unfinished]);
        assert_eq!(message(b" \r\n\x07", true).text(), None);
        assert_eq!(message(b"", true).text(), None);
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        let long = "€".repeat(BODY_BYTES);
        for extra in (1..9).chain([100, 4095]) {
            let it = message(&long.as_bytes()[..BODY_BYTES + extra], true);
            assert!(it.text().unwrap().as_str().len() <= BODY_BYTES);
            assert_eq!(it.faults()[0], Fault::Cut);
        }
        let it = message(&long.as_bytes()[..BODY_BYTES + 1], true);
        assert_eq!(it.faults(), [Fault::Cut]);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_shown_within_bounds_or_not_at_all(
            bytes in prop::collection::vec(any::<u8>(), 0..300), times in 1usize..200, is_complete: bool,
        ) {
            let it = message(&bytes.repeat(times), is_complete);
            let shown = it.text().map_or(0, |body| body.as_str().len());
            prop_assert!(shown <= BODY_BYTES);
            prop_assert_eq!(it.faults().contains(&Fault::Unfinished), !is_complete);
            prop_assert_eq!(it.faults().contains(&Fault::Cut), it.bytes.len() > BODY_BYTES);
        }
    }
}
