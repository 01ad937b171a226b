//! One connection of the load generator: a socket, a codec and their buffers.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::codec::{Codec, Incoming, Step};
use crate::problem::Result;

/// A login that takes longer has failed.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a connection is tried again while a server's queue of new ones overflows.
const ATTEMPTS: u32 = 50;

/// A connection that is past its login.
pub struct Connection {
    stream: TcpStream,
    codec: Box<dyn Codec>,
    input: BytesMut,
    /// Something lies in `input` that came with the login and was not looked at.
    fresh: bool,
    output: Vec<u8>,
}

impl Connection {
    /// Connects and logs in.
    ///
    /// # Errors
    /// When the server does not answer as it should, or not in time.
    pub async fn login(address: SocketAddr, codec: Box<dyn Codec>, name: &str) -> Result<Self> {
        let stream = connect(address).await?;
        stream.set_nodelay(true)?;
        let steps = codec.login(name);
        let mut connection = Self { stream, codec, input: BytesMut::new(), fresh: false, output: Vec::new() };
        for step in steps {
            let taken = timeout(LOGIN_TIMEOUT, connection.step(&step)).await;
            let waited_for = String::from_utf8_lossy(step.until).into_owned();
            taken.map_err(|_| format!("{name} waited in vain for {waited_for:?} at its login"))??;
        }
        connection.fresh = !connection.input.is_empty();
        Ok(connection)
    }

    async fn step(&mut self, step: &Step) -> Result<()> {
        self.stream.write_all(&step.say).await?;
        loop {
            if let Some(at) = memchr::memmem::find(&self.input, step.until) {
                if !step.stays {
                    let _passed = self.input.split_to(at + step.until.len());
                }
                return Ok(());
            }
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err(format!("closed at login: {}", String::from_utf8_lossy(&self.input)).into());
            }
        }
    }

    /// Puts a message into the buffer.
    pub fn say(&mut self, to: &str, body: &[u8]) {
        self.codec.say(to, body, &mut self.output);
    }

    /// Sends what is in the buffer.
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn flush(&mut self) -> Result<()> {
        if !self.output.is_empty() {
            self.stream.write_all(&self.output).await?;
            self.output.clear();
        }
        Ok(())
    }

    /// Waits until something comes in, or lies here from the login. Cancel-safe.
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn readable(&self) -> Result<()> {
        if !self.fresh {
            self.stream.readable().await?;
        }
        Ok(())
    }

    /// Takes what has come in, and answers what must be answered.
    ///
    /// # Errors
    /// When the connection is closed or broken, or the codec does not like what came.
    pub async fn receive(&mut self, mut on: impl FnMut(Incoming)) -> Result<()> {
        self.fresh = false;
        self.fill()?;
        while let Some(incoming) = self.codec.next(&mut self.input, &mut self.output)? {
            on(incoming);
        }
        self.codec.taken(&mut self.output);
        self.flush().await
    }

    fn fill(&mut self) -> Result<()> {
        self.input.reserve(16 * 1024);
        match self.stream.try_read_buf(&mut self.input) {
            Ok(0) => Err("the server closed the connection".into()),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives up the socket to one that writes from another thread, and goes on reading. Must be called within the runtime.
    ///
    /// # Errors
    /// When there are no more file descriptors.
    pub fn split(self, writing: Box<dyn Codec>) -> Result<(Self, Writer)> {
        let stream = self.stream.into_std()?;
        let writer = Writer { stream: stream.try_clone()?, codec: writing, output: Vec::new() };
        let stream = TcpStream::from_std(stream)?;
        Ok((Self { stream, ..self }, writer))
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream> {
    for attempt in 1.. {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) if attempt == ATTEMPTS => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    unreachable!("the last attempt returns")
}

/// The sending half of a connection, without a runtime.
pub struct Writer {
    stream: std::net::TcpStream,
    codec: Box<dyn Codec>,
    output: Vec<u8>,
}

impl Writer {
    /// Puts a message into the buffer.
    pub fn say(&mut self, to: &str, body: &[u8]) {
        self.codec.say(to, body, &mut self.output);
    }

    /// Sends what the socket takes. True when nothing is left.
    ///
    /// # Errors
    /// When the connection is broken.
    pub fn flush(&mut self) -> Result<bool> {
        use std::io::Write;
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(written) => drop(self.output.drain(..written)),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }
}
