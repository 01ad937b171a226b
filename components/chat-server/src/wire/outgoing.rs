//! The bytes that go to the peer next.

use bytes::{Buf, BytesMut};
use tokio::net::TcpStream;

use crate::backend::room::Kept;

/// Past this nothing more is taken from the queues: what is in here can no longer be dropped.
const ENOUGH: usize = 32 * 1024;

/// Bytes not yet taken by the kernel, and how many it took so far.
///
/// Holds no memory while nothing waits.
///
/// Bound: [`ENOUGH`] and one frame. Overflow rule: while [`Outgoing::has_enough`], whoever fills it waits. Once the peer takes nothing any
/// more, everything is dropped. Long pages have a bound for all connections together ([`Room`](crate::backend::room::Room)).
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    buffer: BytesMut,
    written: u64,
    is_broken: bool,
    /// What a page that waits here takes of the room for pages.
    kept: Kept,
}

impl Outgoing {
    /// Puts bytes behind those that wait.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if !self.is_broken {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The same for a page, which gives back what it takes of the room for pages once what is left of it is short.
    pub(crate) fn push_page(&mut self, bytes: &[u8], kept: Kept) {
        self.push(bytes);
        if !self.is_broken {
            self.kept = kept;
        }
    }

    /// The peer takes nothing any more. What it sent before may still be read.
    pub(crate) fn break_off(&mut self) {
        self.is_broken = true;
        self.buffer = BytesMut::new();
        self.kept = Kept::default();
    }

    /// Whether the peer takes nothing any more.
    pub(crate) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// The connection's offset right behind what was put in last.
    pub(crate) fn end(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// How many bytes the kernel took.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Whether it should be filled further.
    pub(crate) fn has_enough(&self) -> bool {
        self.buffer.len() >= ENOUGH
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Gives the kernel what it takes without waiting; says whether it took anything. An error breaks it off.
    pub(crate) fn write_to(&mut self, stream: &TcpStream) -> bool {
        let before = self.written;
        while !self.buffer.is_empty() {
            match stream.try_write(&self.buffer) {
                Ok(0) => self.break_off(),
                Ok(count) => {
                    self.buffer.advance(count);
                    self.written += count as u64;
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(_) => self.break_off(),
            }
        }
        if self.buffer.is_empty() {
            // Its capacity would not tell how much it holds on to: what was written no longer counts there.
            self.buffer = BytesMut::new();
        } else if self.kept.is_long() && !self.has_enough() {
            // The same of the page before it.
            self.buffer = BytesMut::from(&self.buffer[..]);
        }
        if !self.has_enough() {
            self.kept = Kept::default();
        }
        self.written > before
    }
}
