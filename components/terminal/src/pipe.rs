//! Lines from a pipe or a file, tolerant of their origin: they end with `\n`, `\r\n`, `\r` or Telnet's `\r\0`; a UTF-8 byte order mark is
//! skipped, and UTF-16 is reported as an error.

use std::io::{BufRead, Error, ErrorKind, Result};

use protocol::limits::LINE_BYTES;

/// The byte order mark that some editors and shells put before UTF-8.
const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads lines. Bound: one line of [`LINE_BYTES`]. Overflow rule: the rest of a longer one is skipped as it arrives.
#[derive(Debug)]
pub(crate) struct Pipe<R> {
    reader: R,
    /// Whether nothing was read yet.
    first: bool,
    /// Whether the last line ended with `\r`: a following `\n` or zero belongs to it.
    after_cr: bool,
}

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Its text without the line end. What is not UTF-8 is replaced by U+FFFD.
    Text(String),
    /// It exceeded the limit.
    TooLong,
}

impl<R: BufRead> Pipe<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, first: true, after_cr: false }
    }

    /// The next line, or `None` at the end; a last line without an end counts.
    ///
    /// # Errors
    /// Read errors, and UTF-16 input.
    pub(crate) fn next(&mut self) -> Result<Option<Line>> {
        let (mut line, mut length, mut any) = (Vec::new(), 0, false);
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                break;
            }
            if std::mem::take(&mut self.after_cr) && matches!(buffer[0], b'\n' | 0) {
                self.reader.consume(1);
                continue;
            }
            any = true;
            let end = buffer.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let taken = end.unwrap_or(buffer.len());
            let room = (LINE_BYTES + UTF8_MARK.len()).saturating_sub(line.len());
            line.extend_from_slice(&buffer[..taken.min(room)]);
            length += taken;
            if let Some(end) = end {
                self.after_cr = buffer[end] == b'\r';
                self.reader.consume(end + 1);
                break;
            }
            self.reader.consume(taken);
        }
        self.finish(line, length, any)
    }

    fn finish(&mut self, line: Vec<u8>, length: usize, any: bool) -> Result<Option<Line>> {
        let is_first = std::mem::take(&mut self.first);
        if is_first && is_utf16(&line) {
            let what = "it is UTF-16; convert it to UTF-8 first: 'iconv -f UTF-16 -t UTF-8'";
            return Err(Error::new(ErrorKind::InvalidData, what));
        }
        let mark = if is_first && line.starts_with(UTF8_MARK) { UTF8_MARK.len() } else { 0 };
        Ok(match (any, length - mark) {
            (false, _) => None,
            (true, length) if length > LINE_BYTES => Some(Line::TooLong),
            (true, _) => Some(Line::Text(String::from_utf8_lossy(&line[mark..]).into_owned())),
        })
    }
}

/// Whether a text starts like UTF-16: with its byte order mark, or with a zero in each of the first pairs of bytes.
fn is_utf16(line: &[u8]) -> bool {
    let pairs = || line.chunks_exact(2).take(4);
    let zeros = |at: usize| line.len() >= 4 && pairs().all(|pair| pair[at] == 0 && pair[1 - at] != 0);
    line.starts_with(b"\xff\xfe") || line.starts_with(b"\xfe\xff") || zeros(0) || zeros(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8]) -> Result<Vec<Line>> {
        // Also with the smallest reads.
        let mut pieces = Pipe::new(std::io::BufReader::with_capacity(1, input));
        let lines = std::iter::from_fn(|| pieces.next().transpose()).collect::<Result<Vec<_>>>();
        let mut whole = Pipe::new(input);
        let again = std::iter::from_fn(|| whole.next().transpose()).collect::<Result<Vec<_>>>();
        assert_eq!(lines.as_ref().ok(), again.as_ref().ok());
        lines
    }

    fn text(text: &str) -> Line {
        Line::Text(text.to_owned())
    }

    #[test]
    fn every_line_is_read_the_last_one_too_and_one_too_long_is_skipped() {
        assert_eq!(read(b"bob: hi\n\nbob: last").unwrap(), [text("bob: hi"), text(""), text("bob: last")]);
        let mut long = vec![b'x'; 1_000_000];
        long.extend_from_slice(b"\nnext\n");
        assert_eq!(read(&long).unwrap(), [Line::TooLong, text("next")]);
        assert_eq!(read(&vec![b'x'; LINE_BYTES]).unwrap(), [text(&"x".repeat(LINE_BYTES))]);
        assert_eq!(read(b"\xff").unwrap(), [text("\u{fffd}")]);
        assert_eq!(read(b"").unwrap(), []);
    }

    #[test]
    fn lines_end_as_any_program_ends_them() {
        let lines = [text("a"), text("b"), text(""), text("c")];
        for input in [&b"a\nb\n\nc\n"[..], b"a\r\nb\r\n\r\nc\r\n", b"a\rb\r\rc\r", b"a\r\0b\r\0\r\0c\r\0"] {
            assert_eq!(read(input).unwrap(), lines, "{input:?}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_skipped_where_the_input_begins_and_nowhere_else() {
        assert_eq!(
            read(b"\xef\xbb\xbfbob: hi\n\xef\xbb\xbfx").unwrap(),
            [text("bob: hi"), text("\u{feff}x")]
        );
        assert_eq!(read(b"\xef\xbb\xbf").unwrap(), [text("")]);
    }

    #[test]
    fn utf_16_is_named() {
        let units: Vec<u16> = "bob: hi\n".encode_utf16().collect();
        let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        let with_mark = |mark: &[u8], bytes: &[u8]| [mark, bytes].concat();
        for input in
            [little.clone(), big.clone(), with_mark(b"\xff\xfe", &little), with_mark(b"\xfe\xff", &big)]
        {
            assert!(read(&input).unwrap_err().to_string().contains("UTF-16"), "{input:?}");
        }
        for honest in ["", "a", "ab", "\0\0\0\0", "a\0", "žluťoučký"] {
            assert!(read(honest.as_bytes()).is_ok(), "{honest:?}");
        }
    }
}
