//! The last lines of a stream, for the report of a crash.

use std::collections::VecDeque;

/// How many lines are kept.
const LINES: usize = 50;

/// The longest part of a line that is kept, in bytes.
const MAX_LINE: usize = 4096;

/// The last [`LINES`] lines; what is older is forgotten.
#[derive(Debug, Default)]
pub(super) struct Tail {
    lines: VecDeque<Vec<u8>>,
    /// The line that has no end yet.
    open: Vec<u8>,
}

impl Tail {
    /// Takes more of the stream. Of a flood only the end is looked at.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let Some(last) = memchr::memrchr(b'\n', bytes) else {
            return extend(&mut self.open, bytes);
        };
        let enough = memchr::memrchr_iter(b'\n', &bytes[..last]).nth(LINES);
        let mut rest = match enough {
            Some(end) => {
                self.open.clear();
                &bytes[end + 1..=last]
            }
            None => &bytes[..=last],
        };
        while let Some(end) = memchr::memchr(b'\n', rest) {
            extend(&mut self.open, &rest[..end]);
            self.push();
            rest = &rest[end + 1..];
        }
        extend(&mut self.open, &bytes[last + 1..]);
    }

    /// The lines, oldest first, with the one that has no end.
    pub(super) fn lines(&self) -> Vec<String> {
        let open = (!self.open.is_empty()).then_some(&self.open);
        let text = |line: &Vec<u8>| String::from_utf8_lossy(line).trim_end_matches('\r').to_owned();
        self.lines.iter().chain(open).map(text).collect()
    }

    fn push(&mut self) {
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(std::mem::take(&mut self.open));
    }
}

fn extend(line: &mut Vec<u8>, bytes: &[u8]) {
    let room = MAX_LINE - line.len().min(MAX_LINE);
    line.extend_from_slice(&bytes[..bytes.len().min(room)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_however_they_come() {
        let text: String = (0..200).map(|i| format!("line {i}\n")).collect();
        let expected: Vec<String> =
            (151..200).map(|i| format!("line {i}")).chain(["end".to_owned()]).collect();
        for size in [1, 7, 100, 10_000] {
            let mut tail = Tail::default();
            format!("{text}end").as_bytes().chunks(size).for_each(|chunk| tail.feed(chunk));
            let lines = tail.lines();
            assert_eq!(lines[lines.len() - 50..], expected, "in pieces of {size}");
            assert!(lines.len() <= 51);
        }
    }

    #[test]
    fn a_line_without_end_takes_no_more_than_its_share() {
        let mut tail = Tail::default();
        (0..100).for_each(|_| tail.feed(&[b'x'; 1000]));
        assert_eq!(tail.lines()[0].len(), MAX_LINE);
    }
}
