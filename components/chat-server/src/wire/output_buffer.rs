//! The output of a connection.

use bytes::{Buf, BytesMut};
use kit::stream::Stream;

use crate::backend::page_budget::PagePermit;

/// Past this size nothing more is taken from the queues: what is in the buffer can no longer be dropped.
const ENOUGH: usize = 32 * 1024;

/// Bytes that the kernel has not taken yet, and the number of those it has.
///
/// Allocates nothing while it is empty.
///
/// Bound: [`ENOUGH`] and one frame. Overflow rule: while [`OutputBuffer::has_enough`], nothing is added. Once the peer reads nothing any
/// more, everything is dropped. Long pages and greetings have a bound over all connections
/// ([`PageBudget`](crate::backend::page_budget::PageBudget)).
#[derive(Debug, Default)]
pub(crate) struct OutputBuffer {
    buffer: BytesMut,
    written: u64,
    is_broken: bool,
    /// The buffered page's or greeting's share of the page budget.
    permit: PagePermit,
}

impl OutputBuffer {
    /// Appends bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if !self.is_broken {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Appends a page or a greeting, whose share of the page budget is released once its rest is short.
    pub(crate) fn push_page(&mut self, bytes: &[u8], permit: PagePermit) {
        self.push(bytes);
        if !self.is_broken {
            self.permit = permit;
        }
    }

    /// The peer reads nothing any more; its earlier input may still be read.
    pub(crate) fn mark_broken(&mut self) {
        self.is_broken = true;
        self.buffer = BytesMut::new();
        self.permit = PagePermit::default();
    }

    /// Whether the peer reads nothing any more.
    pub(crate) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// The connection's offset after the last buffered byte.
    pub(crate) fn end(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// The number of bytes that the kernel took.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Whether the buffer should not be filled further.
    pub(crate) fn has_enough(&self) -> bool {
        self.buffer.len() >= ENOUGH
    }

    /// Whether nothing is buffered.
    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Writes what the kernel takes without waiting; returns whether it took anything. After an error everything is dropped.
    pub(crate) fn write_to(&mut self, stream: &Stream) -> bool {
        let before = self.written;
        while !self.buffer.is_empty() {
            match stream.try_write(&self.buffer) {
                Ok(0) => self.mark_broken(),
                Ok(count) => {
                    self.buffer.advance(count);
                    self.written += count as u64;
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(_) => self.mark_broken(),
            }
        }
        if self.buffer.is_empty() {
            // A new buffer, because the capacity of the old one does not show how much memory it retains.
            self.buffer = BytesMut::new();
        } else if self.permit.is_long() && !self.has_enough() {
            // The rest of a page, copied for the same reason.
            self.buffer = BytesMut::from(&self.buffer[..]);
        }
        if !self.has_enough() {
            self.permit = PagePermit::default();
        }
        self.written > before
    }
}
