//! Drives one client: owns its sockets and clocks, and executes the decisions of its [`State`].
//!
//! The life of a connection: connect → `hello` → `welcome` → frames in both directions → lost → backoff → connect. Submissions are accepted
//! in every state. Reading and writing never wait for each other: a server that does not read is still read from, and a caller that does
//! not receive can still send.

use std::convert::Infallible;
use std::time::Duration;

use kit::backoff::Backoff;
use protocol::native::{ClientFrame, Seen, Send, ServerFrame};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::reader::Reader;
use super::state::{End, State, lost};
use super::writer::Writer;
use super::{CLOSE_TIMEOUT, Incoming, NativeOptions, REPLAY};
use crate::outbox::Done;

const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// A silent connection is pinged this often, and given up after three times that.
const PING_EVERY: Duration = Duration::from_secs(15);

/// A message from the caller, and the channel for its result.
pub(super) type Submission = (Box<Send>, Done);

/// Any other request of the caller. Accepted at once, because it needs no memory that is not bounded elsewhere.
pub(super) enum Command {
    Seen(Seen),
    Ask(Box<ClientFrame>),
    Replay,
    /// Close the connection in good order, and drop this when done.
    Close(oneshot::Sender<()>),
}

pub(super) struct Driver {
    options: NativeOptions,
    state: State,
    /// Messages to send. Received while there is room in the outbox.
    submissions: mpsc::Receiver<Submission>,
    commands: mpsc::Receiver<Command>,
    incoming: mpsc::Sender<Incoming>,
    /// Waits until the caller has room. Nothing more is read meanwhile.
    undelivered: Option<Incoming>,
    replay: bool,
    closing: Option<Closing>,
    backoff: Backoff,
}

struct Closing {
    until: Instant,
    _done: oneshot::Sender<()>,
}

/// The phase of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// `hello` was sent; the answer must arrive by this time.
    Greeting(Instant),
    Talking,
    /// Everything is written; the server has not closed yet. Closing with unread input would reset the connection, and the server could
    /// lose what it has not read.
    Leaving,
}

struct Connection {
    reader: Reader,
    writer: Writer,
    phase: Phase,
    /// When something last arrived, or the caller made room for it.
    last_input: Instant,
    next_ping: Instant,
}

impl Driver {
    pub(super) fn new(
        options: NativeOptions,
        submissions: mpsc::Receiver<Submission>,
        commands: mpsc::Receiver<Command>,
        incoming: mpsc::Sender<Incoming>,
    ) -> Self {
        let backoff = Backoff::new(Duration::from_millis(100), options.max_backoff);
        let (undelivered, replay, closing) = (None, false, None);
        Self {
            state: State::new(&options),
            options,
            submissions,
            commands,
            incoming,
            undelivered,
            replay,
            closing,
            backoff,
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            let end = match self.attempt().await {
                Ok(never) => match never {},
                Err(end) => end,
            };
            self.state.disconnected();
            if self.closing.is_some() {
                return;
            }
            let goes_on = match end {
                End::Unwanted => return,
                End::Rejected(error) => return drop(self.notify_caller(Incoming::Rejected(error)).await),
                End::Lost(reason, at_least) => self.pause(reason, at_least).await,
            };
            if goes_on.is_err() {
                return;
            }
        }
    }

    /// Waits before the next attempt.
    async fn pause(&mut self, reason: String, at_least: Duration) -> Result<(), End> {
        let retry_in = self.backoff.next_delay().max(at_least);
        self.notify_caller(Incoming::Disconnected { reason, retry_in }).await?;
        self.meanwhile(tokio::time::sleep(retry_in)).await
    }

    /// Notifies the caller between two connections, after what is still undelivered.
    async fn notify_caller(&mut self, what: Incoming) -> Result<(), End> {
        let (incoming, before) = (self.incoming.clone(), self.undelivered.take());
        let telling = async move {
            for what in before.into_iter().chain([what]) {
                incoming.send(what).await.map_err(|_| End::Unwanted)?;
            }
            Ok(())
        };
        self.meanwhile(telling).await?
    }

    /// Waits for something while disconnected, and accepts the caller's requests meanwhile.
    async fn meanwhile<T>(&mut self, something: impl Future<Output = T>) -> Result<T, End> {
        let mut something = std::pin::pin!(something);
        loop {
            tokio::select! {
                output = &mut something => return Ok(output),
                () = self.incoming.closed() => return Err(End::Unwanted),
                Some(submission) = self.submissions.recv(), if self.state.has_room() => self.submit(submission),
                Some(command) = self.commands.recv() => self.take(command),
            }
            if self.closing.is_some() {
                return Err(End::Unwanted);
            }
        }
    }

    fn submit(&mut self, (send, done): Submission) {
        self.state.queue_message(*send, done);
        self.submit_all();
    }

    fn submit_all(&mut self) {
        while self.state.has_room()
            && let Ok((send, done)) = self.submissions.try_recv()
        {
            self.state.queue_message(*send, done);
        }
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Seen(seen) => self.state.seen(seen),
            Command::Ask(frame) => self.state.queue_frame(*frame),
            Command::Replay => self.replay = true,
            Command::Close(done) => {
                // Earlier messages must be written, too.
                self.submit_all();
                self.closing = Some(Closing { until: Instant::now() + CLOSE_TIMEOUT, _done: done });
            }
        }
    }

    async fn attempt(&mut self) -> Result<Infallible, End> {
        let (server, tls) = (self.options.server.clone(), self.options.tls.clone());
        let connecting = async move { crate::tls::connect(&server, tls.as_ref()).await };
        let (reader, writer) = self.meanwhile(connecting).await??;
        let mut writer = Writer::new(writer);
        writer.push(&ClientFrame::Hello(self.state.hello(&self.options)));
        let now = Instant::now();
        let connection = Connection {
            reader: Reader::new(reader),
            writer,
            phase: Phase::Greeting(now + HELLO_TIMEOUT),
            last_input: now,
            next_ping: now + PING_EVERY,
        };
        self.talk(connection).await
    }

    async fn talk(&mut self, mut connection: Connection) -> Result<Infallible, End> {
        let timer = tokio::time::sleep_until(connection.next_ping);
        tokio::pin!(timer);
        loop {
            self.fill(&mut connection).await?;
            let deadline = self.deadline(&connection);
            if timer.deadline() != deadline {
                timer.as_mut().reset(deadline);
            }
            tokio::select! {
                frame = connection.reader.next(), if self.undelivered.is_none() => {
                    connection.last_input = Instant::now();
                    self.handle_frame(frame?, &mut connection)?;
                }
                written = connection.writer.write(), if !connection.writer.is_empty() => {
                    written?;
                    if connection.writer.is_empty() {
                        self.state.written();
                    }
                }
                () = has_room(&self.incoming), if self.undelivered.is_some() => {
                    connection.last_input = Instant::now();
                    let undelivered = self.undelivered.take();
                    self.deliver(undelivered)?;
                }
                () = self.incoming.closed(), if self.closing.is_none() => return Err(End::Unwanted),
                Some(submission) = self.submissions.recv(), if self.state.has_room() => self.submit(submission),
                Some(command) = self.commands.recv() => self.take(command),
                () = &mut timer => self.tick(&mut connection)?,
            }
        }
    }

    /// Fills the writer, and performs what is due once everything is written.
    async fn fill(&mut self, connection: &mut Connection) -> Result<(), End> {
        match connection.phase {
            Phase::Greeting(_) if self.closing.is_some() => return Err(End::Unwanted),
            Phase::Greeting(_) | Phase::Leaving => return Ok(()),
            Phase::Talking => {}
        }
        let now = Instant::now();
        while connection.writer.has_room()
            && let Some(frame) = self.state.next_frame(now)
        {
            connection.writer.push(&frame);
        }
        if !connection.writer.is_empty() {
            return Ok(());
        }
        if self.closing.is_some() {
            self.undelivered = None;
            connection.writer.shutdown().await?;
            connection.phase = Phase::Leaving;
        } else if std::mem::take(&mut self.replay) {
            self.state.forget_known();
            return Err(lost(REPLAY));
        }
        Ok(())
    }

    fn handle_frame(&mut self, frame: ServerFrame, connection: &mut Connection) -> Result<(), End> {
        let report = match connection.phase {
            Phase::Greeting(_) => {
                let connected = self.state.handle_first_frame(frame)?;
                connection.phase = Phase::Talking;
                self.backoff.reset();
                Some(connected)
            }
            Phase::Talking | Phase::Leaving => self.state.handle_frame(frame, Instant::now())?,
        };
        // A closing caller receives nothing more; what is dropped here was not read, and is sent again after the next login.
        self.deliver(report.filter(|_| self.closing.is_none()))
    }

    /// Notifies the caller, now or once there is room.
    fn deliver(&mut self, what: Option<Incoming>) -> Result<(), End> {
        match what.map(|what| self.incoming.try_send(what)) {
            None | Some(Ok(())) => Ok(()),
            Some(Err(TrySendError::Full(what))) => {
                self.undelivered = Some(what);
                Ok(())
            }
            Some(Err(TrySendError::Closed(_))) => Err(End::Unwanted),
        }
    }

    fn deadline(&self, connection: &Connection) -> Instant {
        let phase = match connection.phase {
            Phase::Greeting(until) => Some(until),
            // Due frames wait for room in the writer; an expired deadline would fire again at once.
            Phase::Talking if connection.writer.has_room() => self.state.next_retry(),
            Phase::Talking | Phase::Leaving => None,
        };
        let closing = self.closing.as_ref().map(|closing| closing.until);
        [phase, closing].into_iter().flatten().fold(connection.next_ping, Instant::min)
    }

    fn tick(&mut self, connection: &mut Connection) -> Result<(), End> {
        let now = Instant::now();
        if self.closing.as_ref().is_some_and(|closing| now >= closing.until) {
            return Err(End::Unwanted);
        }
        if matches!(connection.phase, Phase::Greeting(until) if now >= until) {
            return Err(lost("the server accepts connections but does not greet"));
        }
        if now >= connection.next_ping {
            connection.next_ping = now + PING_EVERY;
            // Without reading, silence proves nothing.
            if self.undelivered.is_none() && now - connection.last_input > 3 * PING_EVERY {
                return Err(lost("the server fell silent"));
            }
            self.state.queue_frame(ClientFrame::Ping { nonce: None });
        }
        Ok(())
    }
}

/// Waits until the caller has received something or has gone.
async fn has_room(incoming: &mpsc::Sender<Incoming>) {
    // There is only one sender, so the room remains after the permit is dropped.
    drop(incoming.reserve().await);
}
