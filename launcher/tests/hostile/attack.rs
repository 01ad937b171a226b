//! What attackers share: when to stop, how much they did, connections that do not care.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// An attack that goes on. Shared by its threads.
#[derive(Debug, Default)]
pub struct Attack {
    is_over: AtomicBool,
    bytes: AtomicU64,
}

impl Attack {
    /// Whether it is not time to stop.
    pub fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }

    pub fn stop(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// The server's system took these bytes.
    pub fn note(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// How many it took.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Sends `bytes` again and again as fast as they are taken, up to `most`, reading nothing. A server that hangs up ends it.
    pub fn pour(&self, stream: &mut TcpStream, bytes: &[u8], most: usize) {
        let (mut sent, mut rest) = (0, bytes);
        stream.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
        while self.goes_on() && sent < most {
            match stream.write(rest) {
                Ok(0) => return,
                Ok(count) => {
                    self.note(count);
                    sent += count;
                    // What is cut within a message goes on there.
                    rest = if count == rest.len() { bytes } else { &rest[count..] };
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }

    /// As [`Self::pour`], and what is answered is read and thrown away meanwhile.
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

    /// Does the same on so many threads until they are all done; each is told its number.
    pub fn at_once(&self, threads: usize, work: impl Fn(usize) + Sync) {
        let work = &work;
        std::thread::scope(|scope| (0..threads).for_each(|n| _ = scope.spawn(move || work(n))));
    }
}

/// A connection, where the server still takes one.
pub fn connect(address: SocketAddr) -> Option<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
    stream.set_nodelay(true).ok()?;
    Some(stream)
}

/// Reads until `text` has come, or gives up.
pub fn read_until(stream: &mut TcpStream, text: &str) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&read).contains(text) {
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        read.extend_from_slice(&buffer[..count]);
    }
    Some(())
}
