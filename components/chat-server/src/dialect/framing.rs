//! Cuts a connection's bytes into messages: at newlines, and in the dialects of lines also where the connection falls silent.
//!
//! Knows nothing of clocks and sockets: whoever reads says when it was silent for long enough ([`Framer::patience`]).

use std::time::Duration;

use bytes::{Buf, BytesMut};
use protocol::limits::LINE_BYTES;

use crate::dialect::decoder::{BOM, Decoder, Piece};
use crate::dialect::silence::{Distance, Look, Silence};

/// What came in and is no whole message yet. Holds no memory while that is nothing.
///
/// Bound: nothing is read while [`Framer::has_line`], so it holds one message and one read. Overflow rule: a message of more than
/// [`LINE_BYTES`] is thrown away as it comes, and [`Message::TooLong`] stands in its place.
#[derive(Debug)]
pub(crate) struct Framer {
    decoder: Decoder,
    buffer: BytesMut,
    /// So many bytes at the start of `buffer` are known to hold no newline.
    scanned: usize,
    /// The message that is coming in is too long; what comes of it is dropped.
    skipping: bool,
    /// Silence ended the last message. A newline that comes next is its end, which was late.
    is_newline_due: bool,
    /// A pause lay before what comes next.
    paused: bool,
    /// A pause ended the message that ends here, as what came after it shows.
    ends_at: Option<usize>,
    /// Whether bytes could be a message as they stand; a name never tells.
    looks_whole: LooksWhole,
    silence: Silence,
}

/// Whether these bytes could be a message as they stand.
type LooksWhole = fn(&[u8]) -> bool;

/// One message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// Its text without the line end. What is not UTF-8 is replaced by U+FFFD.
    Text(String),
    /// It was longer than [`LINE_BYTES`].
    TooLong,
}

impl Framer {
    /// Nothing has come. Where the native dialect is spoken, too, its first byte tells it.
    pub(crate) fn new(quiet: Duration, may_be_native: bool) -> Self {
        let (decoder, buffer, silence) = (Decoder::new(may_be_native), BytesMut::new(), Silence::new(quiet));
        Self {
            decoder,
            buffer,
            scanned: 0,
            skipping: false,
            is_newline_due: false,
            paused: false,
            ends_at: None,
            looks_whole: |_| false,
            silence,
        }
    }

    /// So far is the peer.
    pub(crate) fn comes_from(&mut self, distance: Distance) {
        self.silence.comes_from(distance);
    }

    /// The name is known; what comes now is messages, which `looks_whole` tells from parts of them.
    pub(crate) fn named(&mut self, looks_whole: LooksWhole) {
        self.looks_whole = looks_whole;
        self.silence.named();
    }

    /// Nothing came for so long; now something does.
    pub(crate) fn silent_for(&mut self, gap: Duration) {
        self.paused = !self.buffer.is_empty() && !self.skipping && self.silence.paused(gap);
    }

    /// Bytes arrived. What a telnet client wants is refused through `answer`.
    pub(crate) fn push(&mut self, bytes: &[u8], mut answer: impl FnMut([u8; 3])) {
        let Self { decoder, buffer, scanned, silence, .. } = self;
        let before = buffer.len();
        let mut text = 0;
        decoder.decode(bytes, &mut |piece| match piece {
            Piece::Text(bytes) => {
                text += bytes.len();
                buffer.extend_from_slice(bytes);
            }
            Piece::EraseCharacter => erase_character(buffer),
            Piece::EraseLine => erase_line(buffer),
            Piece::Refuse(refusal) => {
                silence.telnet();
                answer(refusal);
            }
            Piece::Telnet => silence.telnet(),
        });
        *scanned = buffer.len().min(*scanned);
        if text > 0 {
            silence.came(text);
        }
        if std::mem::take(&mut self.paused) && self.begins_anew(before) {
            self.ends_at = Some(before);
        }
    }

    /// Whether what came after a pause is a message of its own, and what lay there before it is one, too: it cannot go on a name, or
    /// could itself be a message of a client that ends none with a newline.
    fn begins_anew(&self, at: usize) -> bool {
        let came = self.buffer.get(at..).unwrap_or_default();
        if self.silence.is_naming() {
            let line = came.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end();
            return line.iter().any(|byte| byte.is_ascii() && !is_of_names(*byte));
        }
        let looks_whole = |bytes: &[u8]| (self.looks_whole)(self.without_marks(bytes));
        !came.contains(&b'\n') && looks_whole(&self.buffer[..at]) && looks_whole(came)
    }

    /// Whether a message lies here whose end is known. While it does, whoever reads must not read more: this is what bounds the
    /// buffer.
    pub(crate) fn has_line(&mut self) -> bool {
        if self.ends_at.is_some() {
            return true;
        }
        let newline = self.buffer[self.scanned..].iter().position(|b| *b == b'\n');
        self.scanned = newline.map_or(self.buffer.len(), |offset| self.scanned + offset);
        newline.is_some()
    }

    /// The next message whose end is known.
    pub(crate) fn next_line(&mut self) -> Option<Message> {
        if let Some(end) = self.ends_at.take() {
            let message = self.buffer.split_to(end);
            self.scanned = 0;
            self.silence.silence(self.buffer.len());
            return Some(self.text(&message));
        }
        if !self.has_line() {
            if self.skipping || self.scanned > LINE_BYTES {
                self.skipping = true;
                self.clear();
            }
            return None;
        }
        let line = self.buffer.split_to(self.scanned);
        self.buffer.advance(1);
        self.scanned = 0;
        self.shrink();
        self.silence.newline(self.buffer.len());
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        let is_late_newline = std::mem::take(&mut self.is_newline_due) && line.is_empty();
        if std::mem::take(&mut self.skipping) || line.len() > LINE_BYTES {
            return Some(Message::TooLong);
        }
        if is_late_newline { self.next_line() } else { Some(self.text(line)) }
    }

    /// How long nothing must come until what lies here is a message; `None` where it never is.
    pub(crate) fn patience(&self) -> Option<Duration> {
        self.silence.patience(if ends_within_character(&self.buffer) {
            Look::CutCharacter
        } else if self.skipping || (self.looks_whole)(self.without_marks(&self.buffer)) {
            Look::Whole
        } else {
            Look::Part
        })
    }

    /// Whether a message has shown what ends this session's messages.
    pub(crate) fn knows_what_ends_messages(&self) -> bool {
        self.silence.is_known()
    }

    /// It was silent for long enough, or nothing more will come: whatever lies here is a message.
    pub(crate) fn finish(&mut self) -> Option<Message> {
        if let Some(line) = self.next_line() {
            return Some(line);
        }
        if !self.has_rest() {
            return None;
        }
        self.silence.silence(0);
        self.is_newline_due = true;
        if std::mem::take(&mut self.skipping) {
            self.clear();
            return Some(Message::TooLong);
        }
        let message = self.text(&self.buffer);
        self.clear();
        Some(message)
    }

    fn text(&self, line: &[u8]) -> Message {
        Message::Text(String::from_utf8_lossy(self.without_marks(line)).into_owned())
    }

    /// A line without the byte order marks at its beginning: of files that are sent one behind the other, each may have one.
    fn without_marks<'l>(&self, mut line: &'l [u8]) -> &'l [u8] {
        while !self.decoder.is_native()
            && let Some(rest) = line.strip_prefix(&BOM)
        {
            line = rest;
        }
        line
    }

    /// Whether anything lies here that is no whole message yet.
    pub(crate) fn has_rest(&self) -> bool {
        self.skipping || !self.buffer.is_empty()
    }

    /// Whether the message that is coming in is longer than it may be.
    pub(crate) fn is_too_long(&self) -> bool {
        self.skipping
    }

    /// How many bytes lie here.
    pub(crate) fn held(&self) -> usize {
        self.buffer.len()
    }

    /// Nobody takes what lies here any more.
    pub(crate) fn forget(&mut self) {
        self.ends_at = None;
        self.skipping = false;
        self.clear();
    }

    /// The first byte that lies here.
    pub(crate) fn first_byte(&self) -> Option<u8> {
        self.buffer.first().copied()
    }

    fn clear(&mut self) {
        self.buffer.clear();
        self.scanned = 0;
        self.shrink();
    }

    fn shrink(&mut self) {
        if self.buffer.is_empty() {
            // Its capacity would not tell how much it holds on to: what was taken no longer counts there.
            self.buffer = BytesMut::new();
        }
    }
}

/// Takes back the last character of the line that is coming in, if it has any.
fn erase_character(buffer: &mut BytesMut) {
    let line = buffer.len() - line_start(buffer);
    let continuation = buffer.iter().rev().take_while(|byte| **byte & 0b1100_0000 == 0b1000_0000).count();
    buffer.truncate(buffer.len() - (continuation + 1).min(line));
}

fn erase_line(buffer: &mut BytesMut) {
    buffer.truncate(line_start(buffer));
}

fn line_start(buffer: &BytesMut) -> usize {
    buffer.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1)
}

fn is_of_names(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// Whether the bytes end in a character of which more must come. A character has at most four bytes.
fn ends_within_character(bytes: &[u8]) -> bool {
    let tail = &bytes[bytes.len().saturating_sub(3)..];
    (0..tail.len()).any(|start| {
        let is_lead = tail[start] & 0b1100_0000 == 0b1100_0000;
        is_lead
            && std::str::from_utf8(&tail[start..])
                .is_err_and(|e| e.valid_up_to() == 0 && e.error_len().is_none())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn said(text: &str) -> Message {
        Message::Text(text.to_owned())
    }

    fn lines(framer: &mut Framer) -> Vec<Message> {
        std::iter::from_fn(|| framer.next_line()).collect()
    }

    fn framer() -> Framer {
        Framer::new(Duration::from_millis(100), true)
    }

    fn after_the_name() -> Framer {
        let mut framer = framer();
        framer.push(b"alice\n", |_| {});
        assert_eq!(framer.next_line(), Some(said("alice")));
        framer.named(|_| true);
        framer
    }

    #[test]
    fn newlines_end_messages_and_the_end_ends_the_rest() {
        let mut framer = framer();
        framer.push(b"a: 1\r\nb: 2\nc: 3", |_| {});
        assert_eq!(lines(&mut framer), [said("a: 1"), said("b: 2")]);
        assert_eq!(framer.finish(), Some(said("c: 3")));
        assert_eq!(framer.finish(), None);
        assert!(!framer.has_rest());
    }

    /// From another machine, where it is waited for long; a message begins with `bob:`.
    fn away() -> Framer {
        let mut framer = framer();
        framer.comes_from(Distance::Away(Duration::ZERO));
        framer
    }

    fn push_after_a_pause(framer: &mut Framer, bytes: &[u8]) -> Vec<Message> {
        framer.silent_for(Duration::from_secs(1));
        framer.push(bytes, |_| {});
        lines(framer)
    }

    #[test]
    fn a_pause_ends_what_cannot_go_on() {
        let mut framer = away();
        framer.push(b"alice", |_| {});
        assert_eq!(push_after_a_pause(&mut framer, b"bob: one"), [said("alice")]);
        framer.named(|bytes| bytes.starts_with(b"bob:"));
        assert!(framer.patience() > Some(Duration::from_secs(1)));
        assert_eq!(push_after_a_pause(&mut framer, b"bob: two"), [said("bob: one")]);
        assert_eq!(framer.patience(), Some(Duration::from_millis(100)), "silence ends its messages");
        assert_eq!(framer.finish(), Some(said("bob: two")));
    }

    #[test]
    fn a_pause_within_a_line_ends_nothing() {
        let mut framer = away();
        framer.push(b"al", |_| {});
        assert_eq!(push_after_a_pause(&mut framer, b"ice\r\nbob"), [said("alice")]);
        framer.named(|bytes| bytes.starts_with(b"bob:"));
        assert_eq!(push_after_a_pause(&mut framer, b": one "), []);
        assert_eq!(push_after_a_pause(&mut framer, b"of "), []);
        assert_eq!(push_after_a_pause(&mut framer, b"bob: two\n"), [said("bob: one of bob: two")]);
        assert_eq!(framer.patience(), None);
        framer.push(b"bob: three", |_| {});
        assert_eq!(push_after_a_pause(&mut framer, b"bob: four"), [], "it ends its lines");
        assert_eq!(push_after_a_pause(&mut framer, b"\n"), [said("bob: threebob: four")]);
    }

    #[test]
    fn a_cut_character_is_waited_for() {
        let mut framer = after_the_name();
        let bytes = "bob: 😀".as_bytes();
        framer.push(&bytes[..bytes.len() - 1], |_| {});
        let cut = framer.patience();
        framer.push(&bytes[bytes.len() - 1..], |_| {});
        assert!(cut > framer.patience());
        assert_eq!(framer.finish(), Some(said("bob: 😀")));
    }

    #[test]
    fn what_is_no_text_is_replaced() {
        let mut framer = framer();
        framer.push(b"bob: \xfe\xfd", |_| {});
        assert_eq!(framer.finish(), Some(said("bob: \u{fffd}\u{fffd}")));
        framer.push(b"bob: \xf0\x9f", |_| {});
        assert_eq!(framer.finish(), Some(said("bob: \u{fffd}")));
    }

    #[test]
    fn a_newline_that_comes_after_silence_ended_its_message_is_no_message() {
        let mut framer = after_the_name();
        framer.push(b"bob: hi", |_| {});
        assert!(framer.patience().is_some());
        assert_eq!(framer.finish(), Some(said("bob: hi")));
        framer.push(b"\r\nbob: ho\n\nbob: h", |_| {});
        assert_eq!(lines(&mut framer), [said("bob: ho"), said("")]);
        assert_eq!(framer.patience(), None, "it ends lines after all");
    }

    #[test]
    fn a_message_that_is_too_long_costs_no_memory_and_the_next_one_is_read() {
        let mut framer = framer();
        for _ in 0..1000 {
            framer.push(&[b'x'; 10_000], |_| {});
            assert_eq!(framer.next_line(), None);
            assert!(framer.buffer.capacity() < 256 * 1024);
        }
        framer.push(b"\nbob: hi\n", |_| {});
        assert_eq!(lines(&mut framer), [Message::TooLong, said("bob: hi")]);
        framer.push(&[b'x'; LINE_BYTES + 1], |_| {});
        assert_eq!(framer.next_line(), None);
        assert_eq!(framer.finish(), Some(Message::TooLong));
        framer.push(&[b'x'; LINE_BYTES], |_| {});
        framer.push(b"\n", |_| {});
        assert!(matches!(framer.next_line(), Some(Message::Text(text)) if text.len() == LINE_BYTES));
    }

    #[test]
    fn what_is_deleted_is_gone_within_its_line() {
        let mut framer = framer();
        framer.push("alice\nbobé\x7f: ho\x08i\r".as_bytes(), |_| {});
        assert_eq!(lines(&mut framer), [said("alice"), said("bob: hi")]);
        framer.push(b"\n\x7f\x7fbo", |_| {});
        framer.push(b"\xff\xf8!check\r\0", |_| {});
        assert_eq!(lines(&mut framer), [said("!check")]);
    }

    #[test]
    fn a_mark_before_any_line_is_no_text() {
        let mut framer = framer();
        // As `cat a.txt b.txt` sends them.
        framer.push(
            "\u{feff}alice\n\u{feff}bob: one\r\n\u{feff}\u{feff}bob: \u{feff}two\n\u{feff}\n".as_bytes(),
            |_| {},
        );
        assert_eq!(
            lines(&mut framer),
            [said("alice"), said("bob: one"), said("bob: \u{feff}two"), said("")],
            "within a line it stays"
        );
        framer.push("\u{feff}bob: three".as_bytes(), |_| {});
        assert_eq!(framer.finish(), Some(said("bob: three")), "whatever ends the line");
        let mut native = Framer::new(Duration::from_millis(100), true);
        native.push("{}\n\u{feff}{}\n".as_bytes(), |_| {});
        assert_eq!(
            lines(&mut native),
            [said("{}"), said("\u{feff}{}")],
            "native frames are left as they are"
        );
    }

    #[test]
    fn a_telnet_client_ends_its_lines() {
        let (mut framer, mut answers) = (framer(), Vec::new());
        framer.push(b"\xff\xfd\x03al", |answer| answers.extend(answer));
        assert_eq!((framer.patience(), &answers[..]), (None, &b"\xff\xfc\x03"[..]));
    }

    #[test]
    fn an_empty_framer_keeps_nothing() {
        let mut framer = framer();
        framer.push(&[b'\n'; 60_000], |_| {});
        assert_eq!(lines(&mut framer).len(), 60_000);
        assert_eq!(framer.buffer.capacity(), 0);
    }

    proptest! {
        #[test]
        fn however_bytes_are_cut_the_messages_are_the_same(
            messages in prop::collection::vec("[^\n\r\x08\x7f\u{feff}]{0,20}", 0..8),
            cuts in prop::collection::vec(1usize..9, 1..64),
        ) {
            let stream: String = messages.iter().map(|message| format!("{message}\n")).collect();
            let mut framer = framer();
            let mut got = Vec::new();
            let (mut rest, mut cuts) = (stream.as_bytes(), cuts.iter().cycle());
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                framer.push(piece, |_| {});
                got.extend(lines(&mut framer));
                rest = behind;
            }
            let expected: Vec<Message> = messages.iter().map(|message| said(message)).collect();
            prop_assert_eq!(got, expected);
        }

        #[test]
        fn a_cut_within_any_text_is_told_exactly(text in "\\PC{1,8}", cut in 1usize..32) {
            let cut = cut.min(text.len());
            prop_assert_eq!(ends_within_character(&text.as_bytes()[..cut]), !text.is_char_boundary(cut));
        }
    }
}
