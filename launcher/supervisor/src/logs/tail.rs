//! The last lines of a stream, for crash reports.

/// The number of lines.
pub(super) const LINES: usize = 200;

/// The length at which lines are cut, in bytes.
const MAX_LINE: usize = 4096;

/// The number of last bytes kept, up to twice as many: enough for [`LINES`] lines of usual length.
const KEPT: usize = 64 * 1024;

/// The end of the stream, which is split into lines only on demand.
#[derive(Debug, Default)]
pub(super) struct Tail {
    bytes: Vec<u8>,
    /// Bytes before `bytes` were discarded, so the first line is incomplete.
    is_cut: bool,
}

impl Tail {
    /// Adds input; only the end of it is examined.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let new = &bytes[bytes.len().saturating_sub(KEPT)..];
        if self.bytes.len() + new.len() > 2 * KEPT || new.len() < bytes.len() {
            let kept = KEPT - new.len();
            self.bytes.drain(..self.bytes.len().saturating_sub(kept));
            self.is_cut = true;
        }
        self.bytes.extend_from_slice(new);
    }

    /// The lines, oldest first, with an incomplete one at the end.
    pub(super) fn lines(&self) -> Vec<String> {
        let text = self.bytes.strip_suffix(b"\n").unwrap_or(&self.bytes);
        if text.is_empty() && self.bytes.is_empty() {
            return Vec::new();
        }
        let mut lines: Vec<&[u8]> = text.rsplit(|byte| *byte == b'\n').take(LINES).collect();
        let all = lines.iter().map(|line| line.len() + 1).sum::<usize>() > text.len();
        // The end of a line alone would be misleading, unless there is nothing else.
        if all && self.is_cut && lines.len() > 1 {
            lines.pop();
        }
        let told = |line: &&[u8]| {
            let line = &line[..line.len().min(MAX_LINE)];
            String::from_utf8_lossy(line).trim_end_matches('\r').to_owned()
        };
        lines.iter().rev().map(told).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_however_they_come() {
        let text: String = (0..20_000).map(|i| format!("line {i}\n")).collect();
        let expected: Vec<String> =
            (19_801..20_000).map(|i| format!("line {i}")).chain(["end".to_owned()]).collect();
        for size in [1, 7, 100, 10_000, 70_000, 1_000_000] {
            let mut tail = Tail::default();
            format!("{text}end").as_bytes().chunks(size).for_each(|chunk| tail.feed(chunk));
            assert_eq!(tail.lines(), expected, "in pieces of {size}");
        }
    }

    #[test]
    fn few_lines_are_told_whole_and_nothing_is_nothing() {
        let mut tail = Tail::default();
        assert!(tail.lines().is_empty());
        tail.feed(b"\none\r\n");
        assert_eq!(tail.lines(), ["", "one"]);
    }

    #[test]
    fn a_line_without_end_takes_no_more_than_its_share() {
        let mut tail = Tail::default();
        (0..10_000).for_each(|_| tail.feed(&[b'x'; 1000]));
        assert_eq!(tail.lines()[0].len(), MAX_LINE);
        assert!(tail.bytes.capacity() <= 4 * KEPT);
        tail.feed(b"\nlast\n");
        assert_eq!(tail.lines(), ["last"]);
    }
}
