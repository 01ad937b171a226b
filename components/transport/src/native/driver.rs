//! Drives one client: owns its sockets and clocks, and does what its [`State`] decides.
//!
//! The life of a connection: connect → `hello` → `welcome` → frames in both directions → lost: wait, and again. In every state
//! what the caller wants is taken. Reading and writing never wait for each other: a server that takes nothing is still heard, and a
//! caller that takes nothing still speaks.

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
/// A connection on which nothing comes is asked whether it is alive this often, and given up after three times that.
const PING_EVERY: Duration = Duration::from_secs(15);

/// A message of the caller's, and where its answer goes.
pub(super) type Said = (Box<Send>, Done);

/// Anything else that the caller wants. Always taken at once, for it needs no memory that is not bounded elsewhere.
pub(super) enum Order {
    Seen(Seen),
    Ask(Box<ClientFrame>),
    Replay,
    /// End the connection in good order, and drop this when that is done.
    Close(oneshot::Sender<()>),
}

pub(super) struct Driver {
    options: NativeOptions,
    state: State,
    /// Messages to be said. Taken while there is room in the outbox.
    said: mpsc::Receiver<Said>,
    orders: mpsc::Receiver<Order>,
    incoming: mpsc::Sender<Incoming>,
    /// What the caller has no room for yet. Nothing more is read while it is there.
    undelivered: Option<Incoming>,
    replay: bool,
    closing: Option<Closing>,
    backoff: Backoff,
}

struct Closing {
    until: Instant,
    _done: oneshot::Sender<()>,
}

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// `hello` is on its way; the answer must come by then.
    Greeting(Instant),
    Talking,
    /// We have said everything; the server has not closed yet. Ending with input unread makes the system reset the connection,
    /// and that can take with it what the server has not read.
    Leaving,
}

struct Connection {
    reader: Reader,
    writer: Writer,
    phase: Phase,
    /// When something came last, or the caller made room for it.
    heard: Instant,
    next_ping: Instant,
}

impl Driver {
    pub(super) fn new(
        options: NativeOptions,
        said: mpsc::Receiver<Said>,
        orders: mpsc::Receiver<Order>,
        incoming: mpsc::Sender<Incoming>,
    ) -> Self {
        let backoff = Backoff::new(Duration::from_millis(100), options.max_backoff);
        let (undelivered, replay, closing) = (None, false, None);
        Self {
            state: State::new(&options),
            options,
            said,
            orders,
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
                End::Rejected(error) => return drop(self.tell(Incoming::Rejected(error)).await),
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
        self.tell(Incoming::Disconnected { reason, retry_in }).await?;
        self.meanwhile(tokio::time::sleep(retry_in)).await
    }

    /// Tells the caller something between two connections, after what is still undelivered.
    async fn tell(&mut self, what: Incoming) -> Result<(), End> {
        let (incoming, before) = (self.incoming.clone(), self.undelivered.take());
        let telling = async move {
            for what in before.into_iter().chain([what]) {
                incoming.send(what).await.map_err(|_| End::Unwanted)?;
            }
            Ok(())
        };
        self.meanwhile(telling).await?
    }

    /// Waits for something while there is no connection, and takes what the caller wants meanwhile.
    async fn meanwhile<T>(&mut self, something: impl Future<Output = T>) -> Result<T, End> {
        let mut something = std::pin::pin!(something);
        loop {
            tokio::select! {
                output = &mut something => return Ok(output),
                () = self.incoming.closed() => return Err(End::Unwanted),
                Some(said) = self.said.recv(), if self.state.has_room() => self.say(said),
                Some(order) = self.orders.recv() => self.take(order),
            }
            if self.closing.is_some() {
                return Err(End::Unwanted);
            }
        }
    }

    fn say(&mut self, (send, done): Said) {
        self.state.say(*send, done);
        self.say_all();
    }

    fn say_all(&mut self) {
        while self.state.has_room()
            && let Ok((send, done)) = self.said.try_recv()
        {
            self.state.say(*send, done);
        }
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Seen(seen) => self.state.seen(seen),
            Order::Ask(frame) => self.state.ask(*frame),
            Order::Replay => self.replay = true,
            Order::Close(done) => {
                // What was said before is to be written, too.
                self.say_all();
                self.closing = Some(Closing { until: Instant::now() + CLOSE_TIMEOUT, _done: done });
            }
        }
    }

    async fn attempt(&mut self) -> Result<Infallible, End> {
        let server = self.options.server.clone();
        let stream = self.meanwhile(async move { server.connect().await }).await??;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        let mut writer = Writer::new(writer);
        writer.push(&ClientFrame::Hello(self.state.hello(&self.options)));
        let now = Instant::now();
        let connection = Connection {
            reader: Reader::new(reader),
            writer,
            phase: Phase::Greeting(now + HELLO_TIMEOUT),
            heard: now,
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
                    connection.heard = Instant::now();
                    self.heard(frame?, &mut connection)?;
                }
                written = connection.writer.write(), if !connection.writer.is_empty() => {
                    written?;
                    if connection.writer.is_empty() {
                        self.state.written();
                    }
                }
                () = has_room(&self.incoming), if self.undelivered.is_some() => {
                    connection.heard = Instant::now();
                    let undelivered = self.undelivered.take();
                    self.deliver(undelivered)?;
                }
                () = self.incoming.closed(), if self.closing.is_none() => return Err(End::Unwanted),
                Some(said) = self.said.recv(), if self.state.has_room() => self.say(said),
                Some(order) = self.orders.recv() => self.take(order),
                () = &mut timer => self.tick(&mut connection)?,
            }
        }
    }

    /// Hands the writer what it has room for, and does what is to be done once everything is written.
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

    fn heard(&mut self, frame: ServerFrame, connection: &mut Connection) -> Result<(), End> {
        let told = match connection.phase {
            Phase::Greeting(_) => {
                let connected = self.state.greeted(frame)?;
                connection.phase = Phase::Talking;
                self.backoff.reset();
                Some(connected)
            }
            Phase::Talking | Phase::Leaving => self.state.heard(frame, Instant::now())?,
        };
        // Who closes takes nothing more; what is dropped here was not seen, and comes again at the next login.
        self.deliver(told.filter(|_| self.closing.is_none()))
    }

    /// Tells the caller something, now or when there is room for it.
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
            // What is due and has no room in the writer waits for that; a deadline that has passed would come again at once.
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
            // While nothing is read nothing can be heard.
            if self.undelivered.is_none() && now - connection.heard > 3 * PING_EVERY {
                return Err(lost("the server fell silent"));
            }
            self.state.ask(ClientFrame::Ping { nonce: None });
        }
        Ok(())
    }
}

/// Waits until the caller has taken something, or is gone.
async fn has_room(incoming: &mpsc::Sender<Incoming>) {
    // Nobody else sends, so the room is still there when this place is given back.
    drop(incoming.reserve().await);
}
