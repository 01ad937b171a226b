//! A connection of the load generator: socket, codec and buffers.

use std::time::Duration;

use bytes::BytesMut;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::codec::{Codec, Incoming, Step};
use crate::problem::Result;
use crate::socket::{Address, Socket};

/// Time limit of a login.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(30);
/// Connection attempts while a server's backlog overflows.
const ATTEMPTS: u32 = 50;

/// A connection after its login.
pub struct Connection {
    stream: Socket,
    codec: Box<dyn Codec>,
    input: BytesMut,
    /// `input` has bytes that arrived with the login and were not decoded.
    fresh: bool,
    output: Vec<u8>,
}

impl Connection {
    /// Connects and logs in.
    ///
    /// # Errors
    /// If the server gives an unexpected answer, or none in time.
    pub async fn login(address: Address, codec: Box<dyn Codec>, name: &str) -> Result<Self> {
        let stream = connect(address.at).await?;
        stream.set_nodelay(true)?;
        let stream = Socket::new(stream, address.is_tls).await?;
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
        self.stream.write_all(&step.send).await?;
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

    /// Appends a message to the buffer.
    pub fn queue(&mut self, to: &str, body: &[u8]) {
        self.codec.encode(to, body, &mut self.output);
    }

    /// Sends the buffer.
    ///
    /// # Errors
    /// If the connection is broken.
    pub async fn flush(&mut self) -> Result<()> {
        if !self.output.is_empty() {
            self.stream.write_all(&self.output).await?;
            self.output.clear();
        }
        Ok(())
    }

    /// Waits for input, including that of the login. Cancel-safe.
    ///
    /// # Errors
    /// If the connection is broken.
    pub async fn readable(&self) -> Result<()> {
        if !self.fresh {
            self.stream.readable().await?;
        }
        Ok(())
    }

    /// Decodes the available input, and sends required answers.
    ///
    /// # Errors
    /// If the connection is closed or broken, or the codec rejects the input.
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

    /// Separates the sending half, which is used on another thread, and keeps reading. Must be called within the runtime.
    ///
    /// # Errors
    /// If there are no more file descriptors, or it is encrypted.
    pub fn split(self, writing: Box<dyn Codec>) -> Result<(Self, Writer)> {
        let Socket::Plain(stream) = self.stream else { return Err("the open loop has no TLS".into()) };
        let stream = stream.into_std()?;
        let writer = Writer { stream: stream.try_clone()?, codec: writing, output: Vec::new() };
        let stream = Socket::Plain(TcpStream::from_std(stream)?);
        Ok((Self { stream, ..self }, writer))
    }
}

async fn connect(address: std::net::SocketAddr) -> Result<TcpStream> {
    for attempt in 1.. {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) if attempt == ATTEMPTS => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    unreachable!("the last attempt returns")
}

/// The sending half of a connection, used without a runtime.
pub struct Writer {
    stream: std::net::TcpStream,
    codec: Box<dyn Codec>,
    output: Vec<u8>,
}

impl Writer {
    /// Appends a message to the buffer.
    pub fn queue(&mut self, to: &str, body: &[u8]) {
        self.codec.encode(to, body, &mut self.output);
    }

    /// Sends what the socket takes without blocking. Returns whether everything was sent.
    ///
    /// # Errors
    /// If the connection is broken.
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
