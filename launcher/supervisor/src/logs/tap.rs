//! Hands what the components write to somebody beside their logs, in whole lines: to the operator's standard output.
//!
//! Who listens may be slow, or never come back. So [`QUEUED`] bytes may wait; lines that find no place are dropped and counted, and the
//! components and their logs notice nothing. A line longer than [`LONGEST`] comes in pieces, each as a line.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

/// The maximum number of queued bytes.
const QUEUED: usize = 1 << 20;
/// The maximum number of queued pieces.
const PIECES: usize = 4096;
/// The buffered part of an incomplete line.
const LONGEST: usize = 64 * 1024;
/// Losses are reported with the next lines, or when none have arrived for this long.
const QUIET: Duration = Duration::from_secs(1);

/// Complete lines of one component, secrets masked.
#[derive(Debug, PartialEq, Eq)]
pub struct Lines {
    /// Whose.
    pub component: Arc<str>,
    /// Each ends with a newline.
    pub bytes: Vec<u8>,
    /// How many lines, of all components, were dropped before these.
    pub dropped: u64,
}

/// What is heard.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// Lines.
    Lines(Lines),
    /// No lines for a while; this many were dropped before.
    Dropped(u64),
}

/// The telling end.
#[derive(Debug, Clone)]
pub struct Tap {
    lines: SyncSender<Lines>,
    queue: Arc<Queue>,
}

/// The hearing end.
#[derive(Debug)]
pub struct Hearer {
    lines: Receiver<Lines>,
    queue: Arc<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    bytes: AtomicUsize,
    dropped: AtomicU64,
}

/// Both ends.
#[must_use]
pub fn tap() -> (Tap, Hearer) {
    let (sender, receiver) = sync_channel(PIECES);
    let queue = Arc::<Queue>::default();
    (Tap { lines: sender, queue: Arc::clone(&queue) }, Hearer { lines: receiver, queue })
}

impl Tap {
    /// Queues complete lines, or drops and counts them; never waits.
    pub fn tell(&self, component: &Arc<str>, lines: &[u8]) {
        if lines.is_empty() {
            return;
        }
        let room = |queued: usize| Some(queued + lines.len()).filter(|bytes| *bytes <= QUEUED);
        let is_in = self.queue.bytes.fetch_update(Ordering::AcqRel, Ordering::Acquire, room).is_ok();
        if is_in {
            let dropped = self.queue.dropped.swap(0, Ordering::AcqRel);
            let lines = Lines { component: Arc::clone(component), bytes: lines.to_vec(), dropped };
            let Err(error) = self.lines.try_send(lines) else { return };
            let TrySendError::Full(lines) = error else { return };
            self.queue.bytes.fetch_sub(lines.bytes.len(), Ordering::AcqRel);
            self.queue.dropped.fetch_add(dropped, Ordering::AcqRel);
        }
        self.queue.dropped.fetch_add(memchr::memchr_iter(b'\n', lines).count() as u64, Ordering::AcqRel);
    }
}

impl Hearer {
    /// The next lines; `None` when there will be no more.
    pub fn hear(&self) -> Option<Heard> {
        loop {
            match self.lines.recv_timeout(QUIET) {
                Ok(lines) => {
                    self.queue.bytes.fetch_sub(lines.bytes.len(), Ordering::AcqRel);
                    return Some(Heard::Lines(lines));
                }
                Err(end) => match (self.queue.dropped.swap(0, Ordering::AcqRel), end) {
                    (0, RecvTimeoutError::Timeout) => {}
                    (0, RecvTimeoutError::Disconnected) => return None,
                    (dropped, _) => return Some(Heard::Dropped(dropped)),
                },
            }
        }
    }
}

/// One stream on its way to a tap.
#[derive(Debug)]
pub(super) struct Spout {
    tap: Tap,
    component: Arc<str>,
    /// The beginning of a line.
    begun: Vec<u8>,
}

impl Spout {
    pub(super) fn new(tap: Tap, component: Arc<str>) -> Self {
        Self { tap, component, begun: Vec::new() }
    }

    /// Adds input.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let Some(end) = memchr::memrchr(b'\n', bytes) else { return self.begin(bytes) };
        let (mut lines, rest) = bytes.split_at(end + 1);
        if !self.begun.is_empty() {
            let first = memchr::memchr(b'\n', lines).map_or(lines.len(), |end| end + 1);
            self.begun.extend_from_slice(&lines[..first]);
            self.tap.tell(&self.component, &self.begun);
            self.begun.clear();
            lines = &lines[first..];
        }
        self.tap.tell(&self.component, lines);
        self.begin(rest);
    }

    /// The stream has ended, possibly within a line.
    pub(super) fn end(&mut self) {
        if !self.begun.is_empty() {
            self.begun.push(b'\n');
            self.tap.tell(&self.component, &self.begun);
            self.begun.clear();
        }
    }

    fn begin(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(LONGEST) {
            self.begun.extend_from_slice(piece);
            if self.begun.len() >= LONGEST {
                self.end();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spout() -> (Spout, Hearer) {
        let (tap, hearer) = tap();
        (Spout::new(tap, Arc::from("web")), hearer)
    }

    /// Everything that is received, and the number of dropped lines.
    fn heard(hearer: &Hearer) -> (Vec<u8>, u64) {
        let (mut bytes, mut dropped) = (Vec::new(), 0);
        while let Ok(lines) = hearer.lines.try_recv() {
            hearer.queue.bytes.fetch_sub(lines.bytes.len(), Ordering::AcqRel);
            assert_eq!(lines.bytes.last(), Some(&b'\n'), "only whole lines");
            bytes.extend(lines.bytes);
            dropped += lines.dropped;
        }
        (bytes, dropped)
    }

    #[test]
    fn lines_are_whole_however_they_come() {
        let text = b"one\ntwo\n\nthree";
        for size in 1..=text.len() {
            let (mut spout, hearer) = spout();
            text.chunks(size).for_each(|chunk| spout.feed(chunk));
            assert_eq!(heard(&hearer), (b"one\ntwo\n\n".to_vec(), 0), "in pieces of {size}");
            spout.end();
            assert_eq!(heard(&hearer).0, b"three\n");
        }
    }

    #[test]
    fn a_line_without_end_comes_in_pieces() {
        let (mut spout, hearer) = spout();
        (0..3).for_each(|_| spout.feed(&[b'x'; LONGEST - 1]));
        assert!(spout.begun.len() < LONGEST);
        spout.feed(b"\n");
        let lines = heard(&hearer).0;
        assert_eq!(lines.iter().filter(|byte| **byte == b'x').count(), 3 * (LONGEST - 1));
    }

    #[test]
    fn what_finds_no_place_is_counted_and_nobody_waits() {
        let (mut spout, hearer) = spout();
        for _ in 0..100 {
            spout.feed(&b"0123456789abcde\n".repeat(2048));
        }
        let (bytes, dropped) = heard(&hearer);
        assert!(bytes.len() <= QUEUED && bytes.len() > QUEUED / 2);
        assert_eq!(dropped, 0, "it is told where it is missing");
        spout.feed(b"more\n");
        let (more, dropped) = heard(&hearer);
        assert_eq!((more, bytes.len() as u64 / 16 + dropped), (b"more\n".to_vec(), 100 * 2048));
        spout.feed(&vec![b'\n'; QUEUED + 1]);
        assert_eq!(hearer.hear(), Some(Heard::Dropped(QUEUED as u64 + 1)), "or after a while");
        drop(spout);
        assert_eq!(hearer.hear(), None);
    }
}
