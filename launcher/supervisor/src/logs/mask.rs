//! Replaces secrets in a stream by `***`, also those that span several reads.
//!
//! Bytes that may begin a secret are held back until the following bytes decide; a secret contains no newline, so a complete line is never
//! held back. If nothing follows for a while, as after a prompt, they are released unless they are more than half of a secret. If the rest
//! arrives later, it is masked: at most half of a secret is ever shown.

use std::sync::Arc;

use kit::Secret;
use memchr::memmem::Finder;

/// The replacement of a secret.
const MASK: &[u8] = b"***";

/// The secrets to mask. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Secrets(Arc<[Finder<'static>]>);

impl Secrets {
    pub(super) fn new(secrets: &[Secret]) -> Self {
        let mut texts: Vec<&str> = secrets.iter().map(Secret::expose).collect();
        texts.retain(|text| text.len() >= kit::secret::SHORTEST && !text.contains(['\n', '\r']));
        // The longest first: of two that begin at the same place the longer one is masked.
        texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
        texts.dedup();
        Self(texts.into_iter().map(|text| Finder::new(text).into_owned()).collect())
    }

    /// How many of the last bytes may be the beginning of a secret.
    fn open_end(&self, bytes: &[u8]) -> usize {
        self.0.iter().map(|finder| begun(finder, bytes)).max().unwrap_or(0)
    }

    /// Whether the bytes end with more than half of a secret.
    fn end_with_most(&self, bytes: &[u8]) -> bool {
        self.0.iter().any(|finder| begun(finder, bytes) * 2 > finder.needle().len())
    }
}

/// How many of the last bytes are the beginning of this secret.
fn begun(finder: &Finder<'static>, bytes: &[u8]) -> usize {
    let needle = finder.needle();
    let longest = (needle.len() - 1).min(bytes.len());
    (1..=longest).rev().find(|length| bytes.ends_with(&needle[..*length])).unwrap_or(0)
}

/// Masks one stream.
#[derive(Default)]
pub(super) struct Masker {
    secrets: Secrets,
    /// A possible beginning of a secret; shorter than the longest one.
    held: Vec<u8>,
    /// How much of it was released already.
    shown: usize,
}

impl Masker {
    pub(super) fn new(secrets: Secrets) -> Self {
        Self { secrets, held: Vec::new(), shown: 0 }
    }

    /// Adds input and returns the output so far. Without secrets, that is the input itself.
    pub(super) fn mask(&mut self, mut input: Vec<u8>) -> Vec<u8> {
        let shown = std::mem::take(&mut self.shown);
        if !self.held.is_empty() {
            let mut joined = std::mem::take(&mut self.held);
            joined.append(&mut input);
            input = joined;
        }
        let mut found = Found::in_bytes(&self.secrets, &input);
        let Some(mut next) = found.next(&input, 0) else {
            let certain = self.hold(&input, 0, shown);
            input.truncate(certain);
            input.drain(..shown.min(certain));
            return input;
        };
        let mut out = Vec::with_capacity(input.capacity());
        let mut at = 0;
        loop {
            out.extend_from_slice(&input[at.max(shown)..next.0.max(shown)]);
            out.extend_from_slice(MASK);
            at = next.1;
            match found.next(&input, at) {
                Some(further) => next = further,
                None => break,
            }
        }
        let certain = self.hold(&input, at, shown);
        out.extend_from_slice(&input[at..certain]);
        out
    }

    /// Holds back the end of a text whose secrets before `at` are masked; returns where that end begins.
    fn hold(&mut self, text: &[u8], at: usize, shown: usize) -> usize {
        let certain = text.len() - self.secrets.open_end(&text[at..]);
        self.held.extend_from_slice(&text[certain..]);
        self.shown = shown.saturating_sub(certain);
        certain
    }

    /// Whether something is held back that [`Self::release`] may release.
    pub(super) fn is_holding(&self) -> bool {
        self.held.len() > self.shown
    }

    /// Nothing arrived for a while: returns what is held back, if it reveals no secret.
    pub(super) fn release(&mut self) -> Vec<u8> {
        if self.secrets.end_with_most(&self.held) {
            return Vec::new();
        }
        let shown = std::mem::replace(&mut self.shown, self.held.len());
        self.held[shown..].to_vec()
    }

    /// The stream has ended. What is held back is no complete secret; more than half of one is masked anyway.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let mask = self.secrets.end_with_most(&self.held);
        let (held, shown) = (std::mem::take(&mut self.held), std::mem::take(&mut self.shown));
        if mask { MASK.to_vec() } else { held[shown..].to_vec() }
    }
}

/// The next occurrence of each secret, so that a text full of one is not searched for the others repeatedly.
struct Found<'s> {
    secrets: &'s Secrets,
    places: Vec<Option<usize>>,
}

impl<'s> Found<'s> {
    fn in_bytes(secrets: &'s Secrets, bytes: &[u8]) -> Self {
        Self { secrets, places: secrets.0.iter().map(|finder| finder.find(bytes)).collect() }
    }

    /// The range of the first secret that begins at or after `from`, and of several at one place the longest.
    fn next(&mut self, bytes: &[u8], from: usize) -> Option<(usize, usize)> {
        let mut first: Option<(usize, usize)> = None;
        for (finder, place) in self.secrets.0.iter().zip(&mut self.places) {
            if place.is_some_and(|place| place < from) {
                *place = finder.find(&bytes[from..]).map(|place| from + place);
            }
            let Some(start) = *place else { continue };
            // Longer secrets come first in the list.
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

    #[test]
    fn a_prompt_is_let_go_and_the_rest_of_a_secret_is_masked_all_the_same() {
        let mut masker = Masker::new(Secrets::new(&[Secret::new("a word: hunter22".to_owned())]));
        let mut out = |input: &str| {
            let text = masker.mask(input.as_bytes().to_vec());
            (String::from_utf8(text).unwrap(), String::from_utf8(masker.release()).unwrap())
        };
        let pair = |one: &str, other: &str| (one.to_owned(), other.to_owned());
        assert_eq!(out("say a"), pair("say ", "a"));
        assert_eq!(out(" word"), pair("", " word"));
        assert_eq!(out(": "), pair("", ": "), "half of it");
        assert_eq!(out("h"), pair("", ""), "more than half of it");
        assert_eq!(out("ello\n"), pair("hello\n", ""));
        assert_eq!(out("a word"), pair("", "a word"));
        assert_eq!(out(": hunter22 a wo"), pair("*** ", "a wo"));
        assert_eq!(out("a word: hunter22"), pair("***", ""));
    }

    proptest! {
        #[test]
        fn what_is_let_go_changes_nothing_but_secrets(
            text in "[ab\n]{0,60}",
            cuts in proptest::collection::vec(0..60usize, 0..20),
        ) {
            let secrets = ["abab", "bbaab"].map(|text| Secret::new(text.to_owned()));
            let mut masker = Masker::new(Secrets::new(&secrets));
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let mut found = Vec::new();
            for piece in cuts.windows(2) {
                found.extend(masker.mask(text.as_bytes()[piece[0]..piece[1]].to_vec()));
                found.extend(masker.release());
            }
            found.extend(masker.finish());
            let found = String::from_utf8(found).unwrap();
            prop_assert!(secrets.iter().all(|secret| !found.contains(secret.expose())), "{}", found);
            if secrets.iter().all(|secret| !text.contains(secret.expose())) && text.ends_with('\n') {
                prop_assert_eq!(found, text);
            }
        }

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
