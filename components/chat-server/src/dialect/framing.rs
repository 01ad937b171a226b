//! Splits a connection's bytes into messages: at newlines, and in line dialects also at silence.
//!
//! Uses no clock and no socket: the caller reports silence of [`Framer::idle_timeout`].

use std::time::Duration;

use bytes::{Buf, BytesMut};
use protocol::limits::LINE_BYTES;

use crate::dialect::decoder::{BOM, BeginsRaw, Decoder, Piece};
use crate::dialect::silence::{Completeness, Distance, Silence};

/// Input that is not a complete message yet. Allocates nothing while it is empty.
///
/// Bound: nothing is read while [`Framer::has_line`], so it holds one message and one read. Overflow rule: a message of more than
/// [`LINE_BYTES`] is discarded as it arrives, and replaced by [`Message::TooLong`].
#[derive(Debug)]
pub(crate) struct Framer {
    decoder: Decoder,
    buffer: BytesMut,
    /// The number of bytes at the start of `buffer` that contain no newline.
    scanned: usize,
    /// The incoming message is too long; its remaining bytes are discarded.
    skipping: bool,
    /// Silence ended the last message. If a newline comes next, it is that message's late end.
    is_newline_due: bool,
    /// A pause preceded the next bytes.
    paused: bool,
    /// A pause ended the message at this offset, as the bytes after it showed.
    ends_at: Option<usize>,
    /// Whether bytes could be a complete message; always false for a name.
    looks_complete: LooksWhole,
    silence: Silence,
}

/// Whether these bytes could be a complete message.
pub(crate) type LooksWhole = fn(&[u8]) -> bool;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// Its text without the line end; invalid UTF-8 is replaced by U+FFFD.
    Text(String),
    /// It was longer than [`LINE_BYTES`].
    TooLong,
}

impl Framer {
    /// A framer before the first byte.
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
            looks_complete: |_| false,
            silence,
        }
    }

    /// Sets the distance of the peer.
    pub(crate) fn set_distance(&mut self, distance: Distance) {
        self.silence.set_distance(distance);
    }

    /// The client is identified; messages follow, and `looks_complete` distinguishes them from partial ones.
    pub(crate) fn identified(&mut self, looks_complete: LooksWhole) {
        self.looks_complete = looks_complete;
        self.silence.identified();
    }

    /// Records that nothing arrived for this long before the next bytes.
    pub(crate) fn silent_for(&mut self, gap: Duration) {
        self.paused = !self.buffer.is_empty() && !self.skipping && self.silence.paused(gap);
    }

    /// Adds received bytes. Refusals of telnet options are sent through `answer`.
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
            silence.received(text);
        }
        if std::mem::take(&mut self.paused) && self.starts_new_message(before) {
            self.ends_at = Some(before);
        }
    }

    /// Whether the bytes after a pause are a message of their own, and those before it too: they cannot continue a name, or could be a
    /// message of a client that sends no newlines.
    fn starts_new_message(&self, at: usize) -> bool {
        let came = self.buffer.get(at..).unwrap_or_default();
        if self.silence.is_naming() {
            let line = came.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end();
            return line.iter().any(|byte| byte.is_ascii() && !is_of_names(*byte));
        }
        let looks_complete = |bytes: &[u8]| (self.looks_complete)(self.without_marks(bytes));
        !came.contains(&b'\n') && looks_complete(&self.buffer[..at]) && looks_complete(came)
    }

    /// Whether the buffer has a message with a known end. While it has, the caller must not read: this bounds the buffer.
    pub(crate) fn has_line(&mut self) -> bool {
        if self.ends_at.is_some() {
            return true;
        }
        let newline = self.buffer[self.scanned..].iter().position(|b| *b == b'\n');
        self.scanned = newline.map_or(self.buffer.len(), |offset| self.scanned + offset);
        newline.is_some()
    }

    /// The next message with a known end.
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

    /// How long nothing must arrive until the buffer counts as a message; `None` if it never does.
    pub(crate) fn idle_timeout(&self) -> Option<Duration> {
        self.silence.idle_timeout(if ends_within_character(&self.buffer) {
            Completeness::CutCharacter
        } else if self.skipping || (self.looks_complete)(self.without_marks(&self.buffer)) {
            Completeness::Complete
        } else {
            Completeness::Partial
        })
    }

    /// Whether it is known what ends this session's messages.
    pub(crate) fn knows_what_ends_messages(&self) -> bool {
        self.silence.is_known()
    }

    /// The silence was long enough, or the input has ended: the buffer is a message.
    pub(crate) fn finish(&mut self) -> Option<Message> {
        if let Some(line) = self.next_line() {
            return Some(line);
        }
        if !self.has_partial() {
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

    /// Removes byte order marks at the start of a line: each of several concatenated files may have one.
    fn without_marks<'l>(&self, mut line: &'l [u8]) -> &'l [u8] {
        while !self.decoder.is_raw()
            && let Some(rest) = line.strip_prefix(&BOM)
        {
            line = rest;
        }
        line
    }

    /// Whether the buffer has an incomplete message.
    pub(crate) fn has_partial(&self) -> bool {
        self.skipping || !self.buffer.is_empty()
    }

    /// Whether the incoming message is too long.
    pub(crate) fn is_too_long(&self) -> bool {
        self.skipping
    }

    /// The number of buffered bytes.
    pub(crate) fn held(&self) -> usize {
        self.buffer.len()
    }

    /// Discards the buffer.
    pub(crate) fn discard(&mut self) {
        self.ends_at = None;
        self.skipping = false;
        self.clear();
    }

    /// The first buffered byte.
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
            // A new buffer, because the capacity of the old one does not show how much memory it retains.
            self.buffer = BytesMut::new();
        }
    }
}

/// Erases the last character of the incoming line, if it has any.
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

/// Whether the bytes end within a character, which has at most four bytes.
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
