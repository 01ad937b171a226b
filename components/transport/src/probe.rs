//! Probes with a message: whether a server works, or only accepts connections.
//!
//! * [`chat`]: login, message, acknowledgement and delivery, through the chat server in the native dialect, as [`UserName::probe`].
//! * [`store`]: has the message API store one message.
//!
//! A timely refusal counts as an answer: the server works, and reports that a dependency does not; [`ProbeError::is_refusal`] distinguishes
//! it from silence. A probe neither retries nor reuses a session, because a retry would hide failures.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use kit::Secret;
use protocol::api::{AppendRequest, Problem};
use protocol::limits::SERVER_FRAME_BYTES;
use protocol::native::{ClientFrame, Hello, Send, ServerFrame};
use protocol::{Body, ClientId, Draft, MessageType, Metadata, UserName, sanitise};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::error::Elapsed;

use crate::lines::{Line, Lines};

/// Longest HTTP response that is read, in bytes.
const ANSWER_BYTES: usize = 4096;
/// Longest server message that is shown, in characters.
const WORDS: usize = 200;

/// What the probe waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The connection is accepted.
    Connection,
    /// The login is answered.
    Login,
    /// The message is acknowledged as stored.
    Acknowledgement,
    /// The message is delivered.
    Delivery,
}

/// Why a probe failed.
#[derive(Debug)]
pub struct ProbeError {
    server: &'static str,
    address: SocketAddr,
    step: Step,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    /// Nothing arrived within this time.
    Silence(Duration),
    Broken(std::io::Error),
    /// The server closed the connection.
    Closed,
    /// The server refused, with a reason.
    Refused(String),
}

impl From<std::io::Error> for Cause {
    fn from(error: std::io::Error) -> Self {
        Self::Broken(error)
    }
}

impl ProbeError {
    /// The step that failed.
    #[must_use]
    pub fn step(&self) -> Step {
        self.step
    }

    /// Whether the server refused in time. Then it works, and a restart would not help.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self.cause, Cause::Refused(_))
    }
}

impl std::error::Error for ProbeError {}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, address, step, cause } = self;
        match (step, cause) {
            (Step::Acknowledgement, Cause::Refused(why)) => {
                return write!(f, "not stored: the store refuses: {why}");
            }
            (Step::Connection, Cause::Broken(error)) => {
                let advice = "is it running? see 'launcher status'";
                return write!(f, "cannot connect to the {server} at {address}: {error}; {advice}");
            }
            (_, Cause::Silence(_) | Cause::Broken(_) | Cause::Closed | Cause::Refused(_)) => {}
        }
        write!(f, "the {server} at {address} ")?;
        match (step, cause) {
            (_, Cause::Refused(why)) => return write!(f, "answers and refuses: {why}"),
            (Step::Connection, _) => f.write_str("does not accept a connection")?,
            (Step::Login, _) => f.write_str("accepts connections but does not answer a login")?,
            (Step::Acknowledgement, _) => f.write_str("does not acknowledge a message")?,
            (Step::Delivery, _) => f.write_str("acknowledges a message but does not deliver it")?,
        }
        match cause {
            Cause::Silence(within) => write!(f, " within {}", kit::duration::format(*within)),
            Cause::Broken(error) => write!(f, ": {error}"),
            Cause::Closed => f.write_str(": it closes the connection"),
            Cause::Refused(_) => Ok(()),
        }
    }
}

/// Sends a message through the chat server and waits until it is stored and delivered.
///
/// # Errors
/// The step that failed within the time limit, and why.
pub async fn chat(address: SocketAddr, token: &Secret, within: Duration) -> Result<(), ProbeError> {
    let mut step = Step::Connection;
    let done = tokio::time::timeout(within, through_chat(address, token, &mut step)).await;
    let cause = cause(done, within);
    cause.map_or(Ok(()), |cause| Err(ProbeError { server: "chat server", address, step, cause }))
}

async fn through_chat(address: SocketAddr, token: &Secret, step: &mut Step) -> Result<(), Cause> {
    let mut connection = Connection::open(address).await?;
    *step = Step::Login;
    connection.log_in(token).await?;
    *step = Step::Acknowledgement;
    let id = ClientId::fresh();
    connection.say(&id).await?;
    // With some stores a message is delivered before it is acknowledged.
    let (mut is_stored, mut is_back) = (false, false);
    while !(is_stored && is_back) {
        match connection.frame().await? {
            ServerFrame::Ack(ack) if ack.client_id == id => {
                is_stored = true;
                *step = Step::Delivery;
            }
            ServerFrame::Event(frame) if frame.event.client_id == id => is_back = true,
            ServerFrame::Error(error) if error.client_id.as_ref() == Some(&id) => {
                return Err(refused(&error.message));
            }
            // Messages of other probes, and irrelevant frames.
            other => drop(other),
        }
    }
    Ok(())
}

struct Connection {
    lines: Lines<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl Connection {
    async fn open(address: SocketAddr) -> Result<Self, Cause> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        Ok(Self { lines: Lines::new(reader, SERVER_FRAME_BYTES), writer })
    }

    async fn log_in(&mut self, token: &Secret) -> Result<(), Cause> {
        let hello = Hello {
            token: Some(token.expose().to_owned()),
            // Earlier probes' messages are irrelevant.
            replay: false,
            presence: false,
            conversations: false,
            ..Hello::new(UserName::probe())
        };
        self.write(&ClientFrame::Hello(hello)).await?;
        loop {
            match self.frame().await? {
                ServerFrame::Welcome(_) => return Ok(()),
                ServerFrame::Error(error) => return Err(refused(&error.message)),
                other => drop(other),
            }
        }
    }

    async fn say(&mut self, id: &ClientId) -> Result<(), Cause> {
        let send = Send {
            client_id: id.clone(),
            to: UserName::probe(),
            body: body(),
            kind: MessageType::Chat,
            metadata: Metadata::default(),
            timestamp: None,
            trace: false,
        };
        self.write(&ClientFrame::Send(send)).await
    }

    async fn write(&mut self, frame: &ClientFrame) -> Result<(), Cause> {
        let mut line = serde_json::to_vec(frame).map_err(std::io::Error::from)?;
        line.push(b'\n');
        Ok(self.writer.write_all(&line).await?)
    }

    /// The next frame. A line of text is the server's refusal if all places are taken.
    async fn frame(&mut self) -> Result<ServerFrame, Cause> {
        loop {
            let line = match self.lines.next().await? {
                None => return Err(Cause::Closed),
                Some(Line::TooLong) => continue,
                Some(Line::Text(line)) => line,
            };
            // Anything before the first brace is the prompt for interactive users.
            match line.find('{').map(|at| serde_json::from_str(&line[at..])) {
                Some(Ok(ServerFrame::Bye { reason, .. })) => return Err(refused(&reason)),
                Some(Ok(frame)) => return Ok(frame),
                Some(Err(error)) => tracing::debug!(%error, "a frame that is not understood is ignored"),
                None => return Err(refused(&line)),
            }
        }
    }
}

fn body() -> Body {
    Body::parse("probe").expect("a word is a message")
}

/// Why it failed, if it did.
fn cause(done: Result<Result<(), Cause>, Elapsed>, within: Duration) -> Option<Cause> {
    done.unwrap_or(Err(Cause::Silence(within))).err()
}

fn refused(words: &str) -> Cause {
    Cause::Refused(sanitise::short_line(words.trim(), WORDS).into_owned())
}

/// Has the message API store a message.
///
/// # Errors
/// The step that failed within the time limit, and why.
pub async fn store(address: SocketAddr, token: &Secret, within: Duration) -> Result<(), ProbeError> {
    let mut step = Step::Connection;
    let done = tokio::time::timeout(within, in_store(address, token, &mut step)).await;
    let cause = cause(done, within);
    cause.map_or(Ok(()), |cause| Err(ProbeError { server: "message API", address, step, cause }))
}

/// Plain HTTP over a socket, because the launcher should not hold an HTTP client and its certificates for this.
async fn in_store(address: SocketAddr, token: &Secret, step: &mut Step) -> Result<(), Cause> {
    let mut stream = TcpStream::connect(address).await?;
    *step = Step::Acknowledgement;
    let drafts = vec![Draft::chat(UserName::probe(), &UserName::probe(), body())];
    let request =
        serde_json::to_string(&AppendRequest { drafts, own: None }).map_err(std::io::Error::from)?;
    let head = format!(
        "POST /v1/append HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        token.expose(),
        request.len()
    );
    stream.write_all(format!("{head}{request}").as_bytes()).await?;
    let mut answer = Vec::new();
    (&mut stream).take(ANSWER_BYTES as u64).read_to_end(&mut answer).await?;
    judge(&String::from_utf8_lossy(&answer))
}

/// Interprets a response of the message API (RFC 9112; RFC 9457).
fn judge(answer: &str) -> Result<(), Cause> {
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    let Some(status) = status else { return Err(Cause::Closed) };
    if let 200..=299 = status {
        return Ok(());
    }
    let problem = answer.find('{').zip(answer.rfind('}')).and_then(|(from, to)| answer.get(from..=to));
    let problem = problem.and_then(|json| serde_json::from_str::<Problem>(json).ok());
    let words = problem.map_or_else(|| format!("status {status}"), |problem| problem.detail);
    Err(refused(&words))
}
