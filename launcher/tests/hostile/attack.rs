//! Shared by attackers: when to stop, progress counters, and connections that ignore errors.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// An attack in progress. Shared by its threads.
#[derive(Debug, Default)]
pub struct Attack {
    is_over: AtomicBool,
    bytes: AtomicU64,
}

impl Attack {
    /// Whether the attack continues.
    pub fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }

    pub fn stop(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Records that the server's system took these bytes.
    pub fn note(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// The number of bytes taken.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Sends `bytes` repeatedly as fast as they are taken, up to `most`, without reading. Ends when the server disconnects.
    pub fn pour(&self, stream: &mut TcpStream, bytes: &[u8], most: usize) {
        let (mut sent, mut rest) = (0, bytes);
        stream.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
        while self.goes_on() && sent < most {
            match stream.write(rest) {
                Ok(0) => return,
                Ok(count) => {
                    self.note(count);
                    sent += count;
                    // A message that was cut continues there.
                    rest = if count == rest.len() { bytes } else { &rest[count..] };
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }

    /// Like [`Self::pour`], but reads and discards the answers.
    pub fn pour_and_read(&self, mut stream: TcpStream, bytes: &[u8], most: usize) {
        let mut answers = stream.try_clone().unwrap();
        answers.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let is_sent = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut buffer = vec![0; 64 * 1024];
                while self.goes_on() && !is_sent.load(Ordering::Relaxed) {
                    match answers.read(&mut buffer) {
                        Ok(0) => return,
                        Ok(_) => {}
                        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                        Err(_) => return,
                    }
                }
            });
            self.pour(&mut stream, bytes, most);
            is_sent.store(true, Ordering::Relaxed);
        });
    }

    /// Runs the same on this many threads until all are done; each receives its index.
    pub fn at_once(&self, threads: usize, work: impl Fn(usize) + Sync) {
        let work = &work;
        std::thread::scope(|scope| (0..threads).for_each(|n| _ = scope.spawn(move || work(n))));
    }
}

/// A connection, if the server still accepts one.
pub fn connect(address: SocketAddr) -> Option<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
    stream.set_nodelay(true).ok()?;
    Some(stream)
}

/// Reads until `text` arrives, or gives up.
pub fn read_until(stream: &mut TcpStream, text: &str) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&read).contains(text) {
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        read.extend_from_slice(&buffer[..count]);
    }
    Some(())
}
