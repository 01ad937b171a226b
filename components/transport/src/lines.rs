//! Lines of bounded length from a byte stream. A longer line is skipped to its end and reported, without using memory.

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Reads lines that end with `\n` or `\r\n`.
///
/// Bound: one line of at most `max` bytes and one read of 16 KiB are held. Overflow rule: the rest of a longer line is discarded as it
/// arrives, and [`Line::TooLong`] is returned in its place.
#[derive(Debug)]
pub struct Lines<R> {
    reader: R,
    buffer: BytesMut,
    /// The length of the prefix of `buffer` without a newline.
    scanned: usize,
    max: usize,
    skipping: bool,
}

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// Its text without the line end. What is not UTF-8 is replaced by U+FFFD.
    Text(String),
    /// The line exceeded the limit.
    TooLong,
}

const READ_SIZE: usize = 16 * 1024;

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Lines of at most `max` bytes.
    pub fn new(reader: R, max: usize) -> Self {
        Self { reader, buffer: BytesMut::new(), scanned: 0, max, skipping: false }
    }

    /// The next line, or `None` at the end of the stream; a last line without an end is dropped, for it may be cut.
    ///
    /// Cancel-safe: nothing read is lost when the future is dropped.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn next(&mut self) -> std::io::Result<Option<Line>> {
        loop {
            if let Some(line) = self.buffered() {
                return Ok(Some(line));
            }
            self.buffer.reserve(READ_SIZE);
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    fn buffered(&mut self) -> Option<Line> {
        match self.buffer[self.scanned..].iter().position(|b| *b == b'\n') {
            Some(offset) => {
                let line = self.buffer.split_to(self.scanned + offset);
                self.buffer.advance(1);
                self.scanned = 0;
                let too_long = std::mem::take(&mut self.skipping) || line.len() > self.max;
                let line = line.strip_suffix(b"\r").unwrap_or(&line);
                Some(if too_long {
                    Line::TooLong
                } else {
                    Line::Text(String::from_utf8_lossy(line).into_owned())
                })
            }
            None => {
                self.scanned = self.buffer.len();
                if self.scanned > self.max {
                    self.skipping = true;
                    self.buffer.clear();
                    self.scanned = 0;
                }
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(input: &[u8], max: usize) -> Vec<Line> {
        let mut lines = Lines::new(input, max);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            all.push(line);
        }
        all
    }

    fn text(text: &str) -> Line {
        Line::Text(text.to_owned())
    }

    #[tokio::test]
    async fn both_line_ends_and_empty_lines() {
        assert_eq!(read(b"a\r\n\nb\ncut", 10).await, [text("a"), text(""), text("b")]);
        assert_eq!(read(b"\xff\n", 10).await, [text("\u{fffd}")]);
    }

    #[tokio::test]
    async fn a_long_line_is_skipped_and_the_next_one_read() {
        let mut input = vec![b'x'; 1_000_000];
        input.extend_from_slice(b"\nnext\n");
        assert_eq!(read(&input, 100).await, [Line::TooLong, text("next")]);
        let mut lines = Lines::new(&input[..], 100);
        lines.next().await.unwrap();
        assert!(lines.buffer.capacity() < 64 * 1024);
    }
}
