//! Replaces secrets in a stream of bytes by `***`, also where a secret is spread over several reads.
//!
//! Bytes that may be the beginning of a secret are held back until what follows decides; a secret has no line end in it, so a
//! whole line is never held back.

use std::sync::Arc;

use kit::Secret;
use memchr::memmem::Finder;

/// What stands in the place of a secret.
const MASK: &[u8] = b"***";

/// Shorter texts are not masked: they are no secrets, and would riddle the log.
const MIN_SECRET: usize = 4;

/// The secrets that are masked. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Secrets(Arc<[Finder<'static>]>);

impl Secrets {
    pub(super) fn new(secrets: &[Secret]) -> Self {
        let mut texts: Vec<&str> = secrets.iter().map(Secret::expose).collect();
        texts.retain(|text| text.len() >= MIN_SECRET && !text.contains(['\n', '\r']));
        // The longest first: of two that begin at one place it is the one to mask.
        texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
        texts.dedup();
        Self(texts.into_iter().map(|text| Finder::new(text).into_owned()).collect())
    }

    /// How many of the last bytes may be the beginning of a secret.
    fn open_end(&self, bytes: &[u8]) -> usize {
        let of = |finder: &Finder<'static>| {
            let needle = finder.needle();
            let longest = (needle.len() - 1).min(bytes.len());
            (1..=longest).rev().find(|length| bytes.ends_with(&needle[..*length])).unwrap_or(0)
        };
        self.0.iter().map(of).max().unwrap_or(0)
    }
}

/// Masks one stream.
#[derive(Default)]
pub(super) struct Masker {
    secrets: Secrets,
    /// What may be the beginning of a secret; shorter than the longest one.
    held: Vec<u8>,
}

impl Masker {
    pub(super) fn new(secrets: Secrets) -> Self {
        Self { secrets, held: Vec::new() }
    }

    /// Takes more of the stream and gives what is certain. Where there is no secret, that is the input itself.
    pub(super) fn mask(&mut self, mut input: Vec<u8>) -> Vec<u8> {
        if !self.held.is_empty() {
            let mut joined = std::mem::take(&mut self.held);
            joined.append(&mut input);
            input = joined;
        }
        let mut found = Found::in_bytes(&self.secrets, &input);
        let Some(mut next) = found.next(&input, 0) else {
            let certain = input.len() - self.secrets.open_end(&input);
            self.held.extend_from_slice(&input[certain..]);
            input.truncate(certain);
            return input;
        };
        let mut out = Vec::with_capacity(input.capacity());
        let mut at = 0;
        loop {
            out.extend_from_slice(&input[at..next.0]);
            out.extend_from_slice(MASK);
            at = next.1;
            match found.next(&input, at) {
                Some(further) => next = further,
                None => break,
            }
        }
        let certain = input.len() - self.secrets.open_end(&input[at..]);
        out.extend_from_slice(&input[at..certain]);
        self.held.extend_from_slice(&input[certain..]);
        out
    }

    /// The stream has ended. What is held back is no whole secret; more than half of one is masked all the same.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let held = std::mem::take(&mut self.held);
        let is_most = |finder: &Finder<'static>| {
            finder.needle().starts_with(&held) && held.len() * 2 > finder.needle().len()
        };
        let mask = !held.is_empty() && self.secrets.0.iter().any(is_most);
        if mask { MASK.to_vec() } else { held }
    }
}

/// Where each secret comes next, so that a text full of one is not searched for the others again and again.
struct Found<'s> {
    secrets: &'s Secrets,
    places: Vec<Option<usize>>,
}

impl<'s> Found<'s> {
    fn in_bytes(secrets: &'s Secrets, bytes: &[u8]) -> Self {
        Self { secrets, places: secrets.0.iter().map(|finder| finder.find(bytes)).collect() }
    }

    /// The first secret that begins at `from` or after it, the longest of those at one place: where it begins and ends.
    fn next(&mut self, bytes: &[u8], from: usize) -> Option<(usize, usize)> {
        let mut first: Option<(usize, usize)> = None;
        for (finder, place) in self.secrets.0.iter().zip(&mut self.places) {
            if place.is_some_and(|place| place < from) {
                *place = finder.find(&bytes[from..]).map(|place| from + place);
            }
            let Some(start) = *place else { continue };
            // The longer ones come first in the list.
            if first.is_none_or(|(other, _)| start < other) {
                first = Some((start, start + finder.needle().len()));
            }
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn masked(secrets: &[&str], pieces: &[&[u8]]) -> Vec<u8> {
        let secrets: Vec<Secret> = secrets.iter().map(|text| Secret::new((*text).to_owned())).collect();
        let mut masker = Masker::new(Secrets::new(&secrets));
        let mut out: Vec<u8> = pieces.iter().flat_map(|piece| masker.mask(piece.to_vec())).collect();
        out.extend(masker.finish());
        out
    }

    #[test]
    fn secrets_are_masked_wherever_they_stand() {
        assert_eq!(masked(&["hunter22"], &[b"a hunter22 b\nhunter22"]), b"a *** b\n***");
        assert_eq!(masked(&["abcd", "abcdef"], &[b"abcdef abcd"]), b"*** ***");
        assert_eq!(masked(&["hunter22"], &[b"hunter2\n"]), b"hunter2\n");
        assert_eq!(masked(&["abc", ""], &[b"abc"]), b"abc", "too short to be a secret");
        assert_eq!(masked(&["abcd", "wxyz"], &[b"abcdabcd wxyzabcdwx", b"yz"]), b"****** *********");
    }

    #[test]
    fn a_stream_that_ends_within_a_secret_shows_less_than_half_of_it() {
        assert_eq!(masked(&["hunter22"], &[b"x hunte"]), b"x ***");
        assert_eq!(masked(&["hunter22"], &[b"x hun"]), b"x hun");
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(text in "[ab\n]{0,60}", cuts in proptest::collection::vec(0..60usize, 0..6)) {
            let whole = masked(&["abab", "bbaab"], &[text.as_bytes()]);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &text.as_bytes()[w[0]..w[1]]).collect();
            let found = masked(&["abab", "bbaab"], &pieces);
            for secret in ["abab", "bbaab"] {
                prop_assert!(!String::from_utf8_lossy(&found).contains(secret));
            }
            if !text.contains("abab") && !text.contains("bbaab") && text.ends_with('\n') {
                prop_assert_eq!(found, text.as_bytes());
            } else {
                prop_assert!(!String::from_utf8_lossy(&whole).contains("abab"));
            }
        }
    }
}
