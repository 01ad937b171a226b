//! Cuts a connection's bytes into messages: at newlines, and in the dialects of lines also where the connection falls silent.
//!
//! Knows nothing of clocks and sockets: whoever reads says when it was silent for long enough ([`Framer::patience`]).

use std::time::Duration;

use bytes::{Buf, BytesMut};
use protocol::limits::LINE_BYTES;

use crate::dialect::decoder::{BOM, BeginsRaw, Decoder, Piece};
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
pub(crate) type LooksWhole = fn(&[u8]) -> bool;

/// One message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// Its text without the line end. What is not UTF-8 is replaced by U+FFFD.
    Text(String),
    /// It was longer than [`LINE_BYTES`].
    TooLong,
}

impl Framer {
    /// Nothing has come.
    pub(crate) fn new(quiet: Duration, begins_raw: BeginsRaw) -> Self {
        let (decoder, buffer, silence) = (Decoder::new(begins_raw), BytesMut::new(), Silence::new(quiet));
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
        while !self.decoder.is_raw()
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
mod tests;
