//! The output of one process on its way to the file.
//!
//! The life of a chunk: read from the pipe → secrets masked → its end remembered for crash reports → formatted → passed to the writing
//! thread, which returns the buffer once it is written.
//!
//! At most one chunk is in flight, so a flood is slowed down by the disk. But a process waits at most [`WRITE_TIMEOUT`]: if a chunk takes
//! longer the disk hangs, and until it recovers, complete lines are read, dropped and counted.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::awaited::Awaited;
use super::file::{Counters, Missed, StreamId, amount};
use super::format::Formatter;
use super::mask::Masker;
use super::tail::Tail;
use super::tap::Spout;
use super::writer::{Job, Write};
use super::written::Amount;
use crate::clock;

/// How long a process may wait for the disk.
const WRITE_TIMEOUT: Duration = Duration::from_millis(100);

/// One process's stream.
pub(super) struct Stream {
    pub(super) id: StreamId,
    pub(super) component: Arc<str>,
    pub(super) counters: Arc<Counters>,
    pub(super) masker: Masker,
    pub(super) formatter: Formatter,
    pub(super) tail: Tail,
    pub(super) awaited: Option<Awaited>,
    /// Receives all lines, if somebody listens.
    pub(super) spout: Option<Spout>,
    pub(super) way: Way,
}

/// The connection to the writer.
pub(super) struct Way {
    jobs: mpsc::Sender<Job>,
    /// A chunk that takes too long.
    late: Option<oneshot::Receiver<Vec<u8>>>,
    missed: Option<Missed>,
    /// The chunks sent so far end within a line.
    in_line: bool,
    /// The dropped chunks end within a line.
    skipping: bool,
}

impl Way {
    pub(super) fn new(jobs: mpsc::Sender<Job>) -> Self {
        Self { jobs, late: None, missed: None, in_line: false, skipping: false }
    }
}

impl Stream {
    /// Writes a chunk, and returns a buffer for the next one.
    pub(super) async fn write(&mut self, chunk: Vec<u8>) -> Vec<u8> {
        let masked = self.masker.mask(chunk);
        self.take(masked).await
    }

    /// Whether a possible beginning of a secret is held back.
    pub(super) fn is_holding(&self) -> bool {
        self.masker.is_holding()
    }

    /// Nothing arrived for a while; a prompt must be shown.
    pub(super) async fn rest(&mut self) {
        let released = self.masker.release();
        self.take(released).await;
    }

    async fn take(&mut self, masked: Vec<u8>) -> Vec<u8> {
        self.tail.feed(&masked);
        if let Some(awaited) = &mut self.awaited {
            awaited.feed(&masked);
        }
        if let Some(spout) = &mut self.spout {
            spout.feed(&masked);
        }
        let formed = self.formatter.form(masked);
        self.send(formed).await
    }

    /// The stream has ended.
    pub(super) async fn end(&mut self) {
        let rest = self.masker.finish();
        self.tail.feed(&rest);
        if let Some(spout) = &mut self.spout {
            spout.feed(&rest);
            spout.end();
        }
        let mut formed = self.formatter.form(rest);
        formed.extend(self.formatter.finish());
        self.send(formed).await;
        let end =
            Job::End { component: Arc::clone(&self.component), id: self.id, missed: self.way.missed.take() };
        // The writer outlives all senders; only this stream waits for it.
        let _ = self.way.jobs.send(end).await;
    }

    async fn send(&mut self, mut chunk: Vec<u8>) -> Vec<u8> {
        if chunk.is_empty() {
            return chunk;
        }
        if self.is_late() {
            return self.drop(chunk);
        }
        if self.way.skipping {
            let end = memchr::memchr(b'\n', &chunk).map_or(chunk.len(), |end| end + 1);
            self.miss(&chunk[..end]);
            chunk.drain(..end);
            if chunk.is_empty() {
                return chunk;
            }
        }
        let Ok(place) = self.way.jobs.try_reserve() else { return self.drop(chunk) };
        let (done, written) = oneshot::channel();
        let missed = self.way.missed.take();
        self.way.in_line = chunk.last() != Some(&b'\n');
        place.send(Job::Write(Write {
            component: Arc::clone(&self.component),
            id: self.id,
            chunk,
            missed,
            done,
        }));
        let mut written = written;
        match tokio::time::timeout(WRITE_TIMEOUT, &mut written).await {
            Ok(buffer) => buffer.unwrap_or_default(),
            Err(_) => {
                self.way.late = Some(written);
                Vec::new()
            }
        }
    }

    /// Whether an earlier chunk is still not written.
    fn is_late(&mut self) -> bool {
        let Some(late) = &mut self.way.late else { return false };
        let is_late = matches!(late.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        if !is_late {
            self.way.late = None;
        }
        is_late
    }

    fn drop(&mut self, mut chunk: Vec<u8>) -> Vec<u8> {
        self.miss(&chunk);
        chunk.clear();
        chunk
    }

    fn miss(&mut self, bytes: &[u8]) {
        let amount = amount(bytes);
        self.counters.add(amount);
        let in_line = self.way.in_line;
        let missed = self.way.missed.get_or_insert_with(|| Missed {
            amount: Amount::default(),
            since: clock::rfc3339(),
            in_line,
        });
        missed.amount.lines += amount.lines;
        missed.amount.bytes += amount.bytes;
        self.way.in_line = false;
        self.way.skipping = bytes.last() != Some(&b'\n');
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;
    use crate::logs::format::Channel;
    use crate::logs::mask::Secrets;
    use crate::spec::LogFormat;

    fn stream() -> (Stream, mpsc::Receiver<Job>) {
        let (jobs, received) = mpsc::channel(8);
        let stream = Stream {
            id: 1,
            component: Arc::from("chat"),
            counters: Arc::default(),
            masker: Masker::new(Secrets::default()),
            formatter: Formatter::new("chat".to_owned(), Channel::Both, Rc::new(Cell::new(LogFormat::Raw))),
            tail: Tail::default(),
            awaited: None,
            spout: None,
            way: Way::new(jobs),
        };
        (stream, received)
    }

    fn next(jobs: &mut mpsc::Receiver<Job>) -> Write {
        match jobs.try_recv() {
            Ok(Job::Write(write)) => write,
            _ => panic!("nothing is to be written"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_disk_that_stands_still_costs_whole_lines_and_makes_nobody_wait() {
        let (mut stream, mut jobs) = stream();
        let begin = tokio::time::Instant::now();
        stream.write(b"one\ntw".to_vec()).await;
        assert_eq!(begin.elapsed().as_millis() / 10, WRITE_TIMEOUT.as_millis() / 10);
        // From now on the stream does not wait.
        stream.write(b"o\nthree\n".to_vec()).await;
        stream.write(b"fo".to_vec()).await;
        assert_eq!(begin.elapsed().as_millis() / 10, WRITE_TIMEOUT.as_millis() / 10);
        assert_eq!(stream.counters.dropped().dropped_lines, 2);
        let Write { chunk, done, missed, .. } = next(&mut jobs);
        assert_eq!((chunk.as_slice(), missed), (&b"one\ntw"[..], None));
        done.send(chunk).unwrap();
        stream.write(b"ur\nfive\n".to_vec()).await;
        let Write { chunk, missed, .. } = next(&mut jobs);
        let missed = missed.unwrap();
        assert_eq!(chunk, b"five\n", "the rest of a line whose beginning was dropped goes the same way");
        assert_eq!((missed.amount, missed.in_line), (Amount { lines: 3, bytes: 13 }, true));
        assert_eq!(stream.counters.dropped().dropped_bytes, 13);
        assert_eq!(stream.tail.lines(), ["one", "two", "three", "four", "five"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_dropped_is_told_at_the_end_at_the_latest() {
        let (mut stream, mut jobs) = stream();
        stream.write(b"one\n".to_vec()).await;
        stream.write(b"two\n".to_vec()).await;
        stream.end().await;
        next(&mut jobs);
        let Ok(Job::End { missed, .. }) = jobs.try_recv() else { panic!("the end is not told") };
        let missed = missed.unwrap();
        assert_eq!((missed.amount, missed.in_line), (Amount { lines: 1, bytes: 4 }, false));
    }
}
