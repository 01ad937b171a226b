//! A user's connection to the chat server in the native dialect. It reconnects by itself; nothing said is lost or said twice.
//!
//! The life of a message: [`NativeClient::send`] puts it in the outbox → it is written, now or when there is a connection → the
//! server's `ack` or a final `error` settles it. After a reconnection all that is unsettled is written again under the same
//! `client_id`. The life of an event: read → dropped if its `seq` was passed on before → [`Incoming::Event`] → the caller says
//! [`NativeClient::seen`] when it is dealt with.
//!
//! Leaves out any storage: what must survive this process is the caller's to keep.

use std::collections::BTreeMap;
use std::time::Duration;

use kit::Secret;
use kit::backoff::Backoff;
use protocol::limits::SERVER_FRAME_BYTES;
use protocol::native::{
    Ack, ClientFrame, Device, ErrorCode, ErrorFrame, EventFrame, Hello, Seen, Send, ServerFrame, Welcome,
};
use protocol::{ConversationId, UserName};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::endpoint::Endpoint;
use crate::lines::{Line, Lines};
use crate::outbox::{Done, Outbox};

const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection on which nothing moves is asked whether it is alive this often, and given up after three times that.
const PING_EVERY: Duration = Duration::from_secs(15);
/// How long a connection may take to end in good order.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Conversations whose last `seq` is remembered across a reconnection; the others start at the user's cursor.
const CURSORS: usize = 256;
/// Frames the caller has not taken yet. Overflow rule: the connection is not read until there is room.
const INCOMING: usize = 256;

/// The reason in [`Incoming::Disconnected`] when [`NativeClient::replay`] asked for it: what comes behind it is complete again.
pub const REPLAY: &str = "everything unseen is asked for again";

/// Frames other than messages that wait to be written. Overflow rule: later ones are dropped.
const FRAMES: usize = 256;

/// Who connects, where to, and how it behaves.
#[derive(Debug, Clone)]
pub struct NativeOptions {
    /// The chat server.
    pub server: Endpoint,
    /// The user.
    pub name: UserName,
    /// A service's token, or that of an earlier welcome.
    pub token: Option<Secret>,
    /// Which device this is.
    pub device: Option<Device>,
    /// What this device holds already.
    pub cursors: BTreeMap<ConversationId, u64>,
    /// Whether `presence` frames are wanted.
    pub presence: bool,
    /// Whether the list of conversations is wanted.
    pub conversations: bool,
    /// The longest wait between two attempts to connect.
    pub max_backoff: Duration,
}

impl NativeOptions {
    /// For a service: no presence, no list, back within a second or two of its server.
    #[must_use]
    pub fn service(server: impl Into<Endpoint>, name: UserName, token: Secret) -> Self {
        Self { token: Some(token), presence: false, conversations: false, ..Self::user(server, name) }
    }

    /// For a person.
    #[must_use]
    pub fn user(server: impl Into<Endpoint>, name: UserName) -> Self {
        Self {
            server: server.into(),
            name,
            token: None,
            device: None,
            cursors: BTreeMap::new(),
            presence: true,
            conversations: true,
            max_backoff: Duration::from_secs(2),
        }
    }
}

/// What the caller is told.
#[derive(Debug)]
pub enum Incoming {
    /// Connected and greeted, for the first time or again.
    Connected(Box<Welcome>),
    /// Something was said. Each event comes once, in the order of its conversation.
    Event(Box<EventFrame>),
    /// Any other frame that is not the answer to a `send`.
    Frame(Box<ServerFrame>),
    /// The connection is gone; another attempt follows after `retry_in`.
    Disconnected {
        /// Why, for people.
        reason: String,
        /// How long until the next attempt.
        retry_in: Duration,
    },
    /// The server will not have us (name taken, reserved or wrong). Nothing follows.
    Rejected(Box<ErrorFrame>),
}

/// Why a message was not stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The server refused it, and always will.
    #[error("{}", .0.message)]
    Refused(Box<ErrorFrame>),
    /// The client ended before there was an answer: the message may or may not be stored.
    #[error("the connection ended before the server answered")]
    Ended,
}

enum Command {
    Send(Box<Send>, Done),
    Seen(Seen),
    Frame(Box<ClientFrame>),
    Replay,
    Close(oneshot::Sender<()>),
}

/// Speaks for one user. Cheap to clone; the connection ends when `shutdown` is cancelled or the receiver of [`Incoming`] is dropped.
#[derive(Debug, Clone)]
pub struct NativeClient {
    commands: mpsc::Sender<Command>,
}

impl NativeClient {
    /// Starts connecting. Whoever handles [`Incoming`] must use [`NativeClient::post`], not `send`, or do it on another task:
    /// the answer to `send` comes behind the events that are waiting to be handled.
    #[must_use]
    pub fn start(options: NativeOptions, shutdown: CancellationToken) -> (Self, mpsc::Receiver<Incoming>) {
        let (commands, command_queue) = mpsc::channel(64);
        let (incoming, incoming_queue) = mpsc::channel(INCOMING);
        let backoff = Backoff::new(Duration::from_millis(100), options.max_backoff);
        let actor = Actor {
            known: options.cursors.clone(),
            token: options.token.clone(),
            options,
            commands: command_queue,
            incoming,
            outbox: Outbox::default(),
            seen: BTreeMap::new(),
            frames: Vec::new(),
            replay: false,
            orphaned: false,
            closing: None,
            backoff,
        };
        tokio::spawn(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = actor.run() => {}
            }
        });
        (Self { commands }, incoming_queue)
    }

    /// Says something and waits until it is stored.
    ///
    /// # Errors
    /// When the server refuses it, or the client ended.
    pub async fn send(&self, send: Send) -> Result<Ack, SendError> {
        self.submit(send).await?.await.unwrap_or(Err(SendError::Ended))
    }

    /// Says something and returns once it is in the outbox, with where its answer will come; one that never comes means
    /// [`SendError::Ended`]. What is submitted in order is said in order.
    ///
    /// # Errors
    /// When the client ended.
    pub async fn submit(&self, send: Send) -> Result<oneshot::Receiver<Result<Ack, SendError>>, SendError> {
        let (done, answer) = oneshot::channel();
        let command = Command::Send(Box::new(send), Some(done));
        self.commands.send(command).await.map_err(|_| SendError::Ended)?;
        Ok(answer)
    }

    /// Says something and returns once it is in the outbox.
    ///
    /// # Errors
    /// When the client ended.
    pub async fn post(&self, send: Send) -> Result<(), SendError> {
        self.commands.send(Command::Send(Box::new(send), None)).await.map_err(|_| SendError::Ended)
    }

    /// Everything of a conversation up to `seq` is dealt with and need not come again.
    pub async fn seen(&self, conversation: ConversationId, seq: u64) {
        // A client that ended needs no cursor.
        let _ = self.commands.send(Command::Seen(Seen { conversation, seq })).await;
    }

    /// Connects once more and has everything past the server's cursors sent again, for a caller that let events go by. Those that
    /// come after [`Incoming::Disconnected`] with the reason [`REPLAY`] are without a gap.
    pub async fn replay(&self) {
        let _ = self.commands.send(Command::Replay).await;
    }

    /// Sends any other frame, if there is a connection; it is dropped otherwise.
    pub async fn frame(&self, frame: ClientFrame) {
        let _ = self.commands.send(Command::Frame(Box::new(frame))).await;
    }

    /// Ends the connection in good order: what was told before, cursors above all, is written, and the server has let go of the
    /// name when this returns. Gives up after [`CLOSE_TIMEOUT`]. Messages without an answer are not waited for.
    pub async fn close(self) {
        let (done, closed) = oneshot::channel();
        let closing = async {
            // A client that ended has nothing left to close.
            if self.commands.send(Command::Close(done)).await.is_ok() {
                let _ = closed.await;
            }
        };
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, closing).await;
    }
}

struct Actor {
    options: NativeOptions,
    token: Option<Secret>,
    commands: mpsc::Receiver<Command>,
    incoming: mpsc::Sender<Incoming>,
    outbox: Outbox,
    /// The last event passed on, by conversation.
    known: BTreeMap<ConversationId, u64>,
    /// Cursors to move, not written yet.
    seen: BTreeMap<ConversationId, u64>,
    /// Other frames, not written yet, at most `FRAMES`.
    frames: Vec<ClientFrame>,
    /// The caller let events go by: forget what was passed on, and connect again.
    replay: bool,
    /// Every handle is gone: nothing will be said any more, though events may still be wanted.
    orphaned: bool,
    /// Dropped when the connection has ended as it was asked to.
    closing: Option<oneshot::Sender<()>>,
    backoff: Backoff,
}

/// Why a connection ended.
enum End {
    /// Try again, for this reason, not before this long.
    Lost(String, Duration),
    /// The server will not have us.
    Rejected(Box<ErrorFrame>),
    /// The caller is gone.
    Unwanted,
}

impl From<std::io::Error> for End {
    fn from(error: std::io::Error) -> Self {
        Self::Lost(error.to_string(), Duration::ZERO)
    }
}

struct Connection {
    lines: Lines<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl Connection {
    async fn write(&mut self, frames: &[ClientFrame]) -> std::io::Result<()> {
        let mut bytes = Vec::with_capacity(256 * frames.len());
        for frame in frames {
            serde_json::to_writer(&mut bytes, frame).expect("frames serialise into memory");
            bytes.push(b'\n');
        }
        self.writer.write_all(&bytes).await
    }

    /// Reads on until the server closes too: ending with input unread makes the system reset the connection, and that can take
    /// with it what the server has not read yet.
    async fn end(&mut self) {
        let ending = async {
            self.writer.shutdown().await?;
            while self.lines.next().await?.is_some() {}
            std::io::Result::Ok(())
        };
        // However a connection ends that is not needed any more, it has ended.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, ending).await;
    }

    async fn read(&mut self) -> Result<ServerFrame, End> {
        loop {
            match self.lines.next().await? {
                None => return Err(lost("the server closed the connection")),
                Some(Line::TooLong) => return Err(lost("the server sent a frame that is too long")),
                // Anything before the first brace is the prompt for people.
                Some(Line::Text(line)) => match line.find('{').map(|at| serde_json::from_str(&line[at..])) {
                    Some(Ok(frame)) => return Ok(frame),
                    // A newer server may send what we do not know.
                    Some(Err(error)) => {
                        tracing::debug!(%error, "a frame that is not understood is passed over")
                    }
                    None => return Err(lost("no chat server answers there; is it the right port?")),
                },
            }
        }
    }
}

fn lost(reason: &str) -> End {
    End::Lost(reason.to_owned(), Duration::ZERO)
}

impl Actor {
    async fn run(mut self) {
        loop {
            let end = match self.connect().await {
                Ok(connection) => self.talk(connection).await,
                Err(end) => end,
            };
            match end {
                End::Lost(..) if self.closing.is_some() => return,
                End::Unwanted => return,
                End::Rejected(error) => {
                    let _ = self.incoming.send(Incoming::Rejected(error)).await;
                    return;
                }
                End::Lost(reason, at_least) => {
                    let retry_in = self.backoff.next_delay().max(at_least);
                    if self.incoming.send(Incoming::Disconnected { reason, retry_in }).await.is_err() {
                        return;
                    }
                    self.wait(retry_in).await;
                    if self.closing.is_some() {
                        return;
                    }
                }
            }
        }
    }

    /// Waits, and goes on taking what is to be said.
    async fn wait(&mut self, retry_in: Duration) {
        let deadline = Instant::now() + retry_in;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(deadline) => return,
                command = self.commands.recv(), if self.takes_commands() => self.take(command),
            }
            if self.closing.is_some() {
                return;
            }
        }
    }

    fn takes_commands(&self) -> bool {
        !self.orphaned && !self.outbox.is_full()
    }

    /// Notes what is to be said; [`Actor::flush`] says it.
    fn take(&mut self, command: Option<Command>) {
        match command {
            None => self.orphaned = true,
            Some(Command::Send(send, done)) => self.outbox.push(*send, done),
            Some(Command::Replay) => self.replay = true,
            // Only while there is no connection do they pile up, and then nobody waits for their answer.
            Some(Command::Frame(frame)) if self.frames.len() < FRAMES => self.frames.push(*frame),
            Some(Command::Frame(_)) => {}
            Some(Command::Close(done)) => self.closing = Some(done),
            Some(Command::Seen(Seen { conversation, seq })) => {
                let entry = self.seen.entry(conversation).or_default();
                *entry = seq.max(*entry);
                // The server's cursor stands in for what is dropped here: those events come again and are told by their seq.
                if self.seen.len() > CURSORS {
                    self.seen.pop_first();
                }
            }
        }
    }

    async fn connect(&mut self) -> Result<Connection, End> {
        let stream = self.options.server.connect().await?;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        let mut connection = Connection { lines: Lines::new(reader, SERVER_FRAME_BYTES), writer };
        connection.write(&[ClientFrame::Hello(self.hello())]).await?;
        let greeting = tokio::time::timeout(HELLO_TIMEOUT, connection.read());
        match greeting.await.map_err(|_| lost("the server does not greet"))?? {
            ServerFrame::Welcome(welcome) => {
                self.backoff.reset();
                if self.options.token.is_none() {
                    self.token = Some(Secret::new(welcome.token.clone()));
                }
                self.pass_on(Incoming::Connected(Box::new(welcome))).await?;
                Ok(connection)
            }
            ServerFrame::Error(error) => Err(self.rejected(error)),
            ServerFrame::Bye { reason, reconnect_after_ms } => Err(left(reason, reconnect_after_ms)),
            _ => Err(lost("the server did not answer the greeting")),
        }
    }

    /// Our own session may linger on the server after a cut: a name that was ours is tried again.
    fn rejected(&self, error: ErrorFrame) -> End {
        match error.code {
            ErrorCode::Taken if self.token.is_some() => End::Lost(error.message, Duration::from_millis(500)),
            ErrorCode::Full | ErrorCode::Retry => {
                End::Lost(error.message, Duration::from_millis(error.retry_after_ms.unwrap_or(1000)))
            }
            _ => End::Rejected(Box::new(error)),
        }
    }

    fn hello(&self) -> Hello {
        Hello {
            token: self.token.as_ref().map(|token| token.expose().to_owned()),
            device: self.options.device.clone(),
            cursors: self.known.clone(),
            presence: self.options.presence,
            conversations: self.options.conversations,
            ..Hello::new(self.options.name.clone())
        }
    }

    async fn talk(&mut self, mut connection: Connection) -> End {
        match self.converse(&mut connection).await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn converse(&mut self, connection: &mut Connection) -> Result<std::convert::Infallible, End> {
        // What was asked of a connection that is gone has nobody to answer it.
        self.frames.clear();
        self.outbox.rewind();
        let mut heard = Instant::now();
        let mut ping = tokio::time::interval_at(heard + PING_EVERY, PING_EVERY);
        loop {
            self.flush(connection).await?;
            if self.closing.is_some() {
                connection.end().await;
                return Err(End::Unwanted);
            }
            if std::mem::take(&mut self.replay) {
                self.known.clear();
                return Err(lost(REPLAY));
            }
            let retry = self.outbox.next_retry();
            tokio::select! {
                frame = connection.read() => {
                    heard = Instant::now();
                    self.handle(frame?).await?;
                }
                command = self.commands.recv(), if self.takes_commands() => {
                    self.take(command);
                    while let (true, Ok(command)) = (self.takes_commands(), self.commands.try_recv()) {
                        self.take(Some(command));
                    }
                }
                () = tokio::time::sleep_until(retry.unwrap_or(heard)), if retry.is_some() => {}
                _ = ping.tick() => {
                    if heard.elapsed() > 3 * PING_EVERY {
                        return Err(lost("the server fell silent"));
                    }
                    self.frames.push(ClientFrame::Ping { nonce: None });
                }
            }
        }
    }

    async fn flush(&mut self, connection: &mut Connection) -> Result<(), End> {
        let sends = self.outbox.take_due(Instant::now()).into_iter().map(ClientFrame::Send);
        let frames: Vec<ClientFrame> = self.frames.drain(..).chain(sends).collect();
        if !frames.is_empty() {
            connection.write(&frames).await?;
        }
        // Forgotten only once written, so that a lost connection loses no cursor; moving one twice is harmless.
        if !self.seen.is_empty() {
            let seen = |(conversation, seq): (&ConversationId, &u64)| Seen {
                conversation: conversation.clone(),
                seq: *seq,
            };
            let frames: Vec<ClientFrame> = self.seen.iter().map(seen).map(ClientFrame::Seen).collect();
            connection.write(&frames).await?;
            self.seen.clear();
        }
        Ok(())
    }

    async fn handle(&mut self, frame: ServerFrame) -> Result<(), End> {
        match frame {
            ServerFrame::Ack(ack) => {
                let id = ack.client_id.clone();
                self.outbox.settle(&id, Ok(ack));
            }
            ServerFrame::Error(ErrorFrame {
                code: ErrorCode::Retry,
                client_id: Some(id),
                retry_after_ms,
                ..
            }) => {
                let wait = Duration::from_millis(retry_after_ms.unwrap_or(500));
                self.outbox.retry_at(&id, Instant::now() + wait);
            }
            ServerFrame::Error(error) => match error.client_id.clone() {
                Some(id) => self.outbox.settle(&id, Err(SendError::Refused(Box::new(error)))),
                None => self.pass_on(Incoming::Frame(Box::new(ServerFrame::Error(error)))).await?,
            },
            ServerFrame::Event(event) => {
                if self.is_new(&event) {
                    self.pass_on(Incoming::Event(Box::new(event))).await?;
                }
            }
            ServerFrame::Bye { reason, reconnect_after_ms } => return Err(left(reason, reconnect_after_ms)),
            ServerFrame::Pong { .. } => {}
            other @ (ServerFrame::Welcome(_)
            | ServerFrame::Live
            | ServerFrame::Presence { .. }
            | ServerFrame::History(_)
            | ServerFrame::Trace(_)
            | ServerFrame::Seen(_)) => self.pass_on(Incoming::Frame(Box::new(other))).await?,
        }
        Ok(())
    }

    /// Whether an event was not passed on before; notes it.
    fn is_new(&mut self, frame: &EventFrame) -> bool {
        let event = &frame.event;
        match self.known.get_mut(&event.conversation) {
            Some(known) if *known >= event.seq => return false,
            Some(known) => *known = event.seq,
            None => {
                // The server's cursor stands in for what is forgotten here.
                if self.known.len() >= CURSORS {
                    self.known.pop_first();
                }
                self.known.insert(event.conversation.clone(), event.seq);
            }
        }
        true
    }

    /// Hands something to the caller, and goes on taking what is to be said meanwhile, or both could wait for each other.
    async fn pass_on(&mut self, what: Incoming) -> Result<(), End> {
        let incoming = self.incoming.clone();
        let mut what = Some(what);
        // Who closes takes nothing more; what is dropped here was not seen and comes again at the next login.
        while self.closing.is_none() {
            tokio::select! {
                place = incoming.reserve() => {
                    place.map_err(|_| End::Unwanted)?.send(what.take().expect("sent once, then we return"));
                    return Ok(());
                }
                command = self.commands.recv(), if self.takes_commands() => self.take(command),
            }
        }
        Ok(())
    }
}

fn left(reason: String, reconnect_after_ms: Option<u64>) -> End {
    End::Lost(reason, Duration::from_millis(reconnect_after_ms.unwrap_or(0)))
}
