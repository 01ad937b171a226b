//! WIRE §4 over a WebSocket: pages written for similar servers work unchanged.
//!
//! The life of a message to the browser: event → [`translate`] → written to the socket → the browser has answered a ping sent after it
//! ([`receipts`]) → its cursor advances. The life of one from it: frame → [`translate::request`] → the outbox of a native client → `ack` →
//! a notice if the recipient is offline. The native client reconnects across a restart of the chat server, of which the page is notified;
//! only a long outage ends the session.

mod lists;
mod receipts;
mod roster;
mod translate;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use kit::Secret;
use protocol::native::{Ack, EventFrame, Send, ServerFrame};
use protocol::web::AdapterFrame;
use protocol::{Body, ClientId, MessageType, Metadata, UserName};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use transport::{Incoming, NativeClient, NativeOptions, SendError};

pub(crate) use self::lists::Lists;
use self::receipts::Receipts;
use self::roster::Roster;
use self::translate::Request;
pub(crate) use self::translate::{bad_name, explain};
use crate::frame::system;
use crate::metrics::Metrics;
use crate::socket::{Gone, Input, Socket, code, to_json};

/// Most unanswered messages. Overflow rule: the browser is not read until one is answered.
const MAX_PENDING: usize = 64;
/// Most frames written before the browser's socket is flushed.
const BATCH: usize = 64;
/// How long the chat server may be unreachable before the page is told to come back later.
const OUTAGE_LIMIT: Duration = Duration::from_secs(10);
/// Time limit for storing the last messages after the browser has left.
const LAST_MESSAGES_TIMEOUT: Duration = Duration::from_secs(2);

/// How a session ended.
enum End {
    /// The browser left.
    Gone,
    /// It sent `exit`.
    Exit,
    /// Shutdown.
    Shutdown,
    /// The chat server is unreachable.
    Away,
    /// The chat server rejected this user; with the text for the page.
    Rejected(String),
    /// The browser's connection must be closed, with this code.
    Broken(u16),
}

impl From<Gone> for End {
    fn from(Gone: Gone) -> Self {
        Self::Gone
    }
}

/// A submitted message: its recipient, its size in bytes, and its result.
type Pending = BoxFuture<'static, (UserName, usize, Result<Ack, SendError>)>;

/// Who a page logs in as: `alice`, or `alice:TOKEN`.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) name: UserName,
    /// A token of the name's account.
    pub(crate) token: Option<Secret>,
}

/// Runs a session whose first frame was a `login` that may go to `server`.
pub(crate) async fn run(
    socket: Socket,
    User { name, token }: User,
    server: SocketAddr,
    lists: &Arc<Lists>,
    metrics: &Metrics,
    shutdown: &CancellationToken,
) {
    // The native client outlives our shutdown until the last messages are stored.
    let ended = CancellationToken::new();
    let _ended = ended.clone().drop_guard();
    let (client, incoming) =
        NativeClient::start(NativeOptions { token, ..NativeOptions::user(server, name.clone()) }, ended);
    let mut session = Session {
        socket,
        client,
        incoming,
        roster: Roster::new(name, Arc::clone(lists)),
        receipts: Receipts::default(),
        pending: FuturesUnordered::new(),
        pending_bytes: 0,
        away_since: None,
        metrics,
    };
    let end = session.talk(shutdown).await;
    session.finish(end).await;
}

struct Session<'a> {
    socket: Socket,
    client: NativeClient,
    incoming: mpsc::Receiver<Incoming>,
    roster: Roster,
    receipts: Receipts,
    pending: FuturesUnordered<Pending>,
    /// The size of the pending messages, which counts as incomplete input.
    pending_bytes: usize,
    away_since: Option<Instant>,
    metrics: &'a Metrics,
}

impl Session<'_> {
    async fn talk(&mut self, shutdown: &CancellationToken) -> End {
        loop {
            let listens = self.roster.is_greeted() && self.pending.len() < MAX_PENDING;
            let patience = self.away_since.map_or_else(Instant::now, |since| since + OUTAGE_LIMIT);
            let told_at = self.roster.due();
            let (hears, refused) = (self.receipts.has_room(), self.socket.refused());
            let step = tokio::select! {
                () = shutdown.cancelled() => Err(End::Shutdown),
                () = sleep_until(patience), if self.away_since.is_some() => Err(End::Away),
                Some((to, bytes, result)) = self.pending.next() => {
                    self.holds(self.pending_bytes - bytes);
                    self.answer(&to, result).await
                },
                () = sleep_until(told_at.unwrap_or(patience)), if told_at.is_some() => self.tell_presence().await,
                incoming = self.incoming.recv(), if hears => self.hand_over(incoming).await,
                input = self.socket.next(), if listens => self.take(input).await,
                () = refused, if !listens => self.refused().await,
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    /// Handles input from the browser.
    async fn take(&mut self, input: Input) -> Result<(), End> {
        self.metrics.frames_in.add(1);
        let text = match input {
            Input::Text(text) => text,
            Input::Bad(bad) => return Ok(self.socket.send(&bad.to_system()).await?),
            Input::Broken(bad, code) => {
                self.socket.send(&bad.to_system()).await?;
                return Err(End::Broken(code));
            }
            Input::Taken(question) => return self.taken(question).await,
            Input::Gone => return Err(End::Gone),
        };
        match translate::request(&text) {
            Request::Say { to, body } => self.say(to, body).await,
            // Unread messages are sent to the browser anyway.
            Request::Check => Ok(()),
            Request::Exit => Err(End::Exit),
            Request::Invalid(message) => Ok(self.socket.send(&system(message)).await?),
        }
    }

    /// The page is closed because of its incomplete input, as [`Socket::next`] reports.
    async fn refused(&mut self) -> Result<(), End> {
        let input = self.socket.next().await;
        self.take(input).await
    }

    /// Sets the size of the pending messages.
    fn holds(&mut self, bytes: usize) {
        self.pending_bytes = bytes;
        self.socket.holds(bytes);
    }

    async fn say(&mut self, to: UserName, body: Body) -> Result<(), End> {
        let bytes = body.as_str().len();
        self.holds(self.pending_bytes + bytes);
        let send = Send {
            client_id: ClientId::fresh(),
            to: to.clone(),
            body,
            kind: MessageType::Chat,
            metadata: Metadata::default(),
            timestamp: None,
            trace: false,
        };
        let refused = self.socket.refused();
        let answer = tokio::select! {
            biased;
            answer = self.client.submit(send) => answer.map_err(|_| End::Away)?,
            () = refused => return Ok(()),
        };
        let answered = async move { (to, bytes, answer.await.unwrap_or(Err(SendError::Ended))) };
        self.pending.push(Box::pin(answered));
        Ok(())
    }

    /// Handles a message's result.
    async fn answer(&mut self, to: &UserName, result: Result<Ack, SendError>) -> Result<(), End> {
        match translate::outcome(to, &result) {
            Some(frame) => Ok(self.socket.send(&frame).await?),
            None => Ok(()),
        }
    }

    /// The browser has received everything before this ping: the cursors advance.
    async fn taken(&mut self, question: u64) -> Result<(), End> {
        for (conversation, seq) in self.receipts.taken(question) {
            self.client.seen(conversation, seq).await;
        }
        if let Some(question) = self.receipts.next_question() {
            self.socket.ask(question).await?;
            self.socket.flush().await?;
        }
        Ok(())
    }

    /// Announces users who went online or offline.
    async fn tell_presence(&mut self) -> Result<(), End> {
        for frame in self.roster.announce() {
            self.metrics.frames_out.add(1);
            self.socket.feed(frame).await?;
        }
        Ok(self.socket.flush().await?)
    }

    /// Handles input from the chat server, with everything else that has already arrived.
    async fn hand_over(&mut self, incoming: Option<Incoming>) -> Result<(), End> {
        let mut next = incoming;
        for _ in 0..BATCH {
            let Some(incoming) = next.take() else { break };
            let frames = self.read(incoming)?;
            self.metrics.frames_out.add(frames.len());
            for frame in frames {
                self.socket.feed(frame).await?;
            }
            next = self.incoming.try_recv().ok();
        }
        if let Some(question) = self.receipts.next_question() {
            self.socket.ask(question).await?;
        }
        Ok(self.socket.flush().await?)
    }

    fn read(&mut self, incoming: Incoming) -> Result<Vec<Utf8Bytes>, End> {
        match incoming {
            Incoming::Connected(welcome) => {
                self.away_since = None;
                Ok(self.roster.connected(welcome.online))
            }
            Incoming::Event(frame) => {
                let EventFrame { event, .. } = &*frame;
                self.receipts.sent(&event.conversation, event.seq);
                Ok(translate::event(self.roster.user(), &frame).iter().map(text).collect())
            }
            Incoming::Frame(frame) => Ok(self.read_frame(*frame).iter().map(text).collect()),
            Incoming::Disconnected { .. } if !self.roster.is_greeted() => Err(End::Away),
            Incoming::Disconnected { .. } if self.away_since.is_some() => Ok(Vec::new()),
            Incoming::Disconnected { .. } => {
                self.away_since = Some(Instant::now());
                let words = "Lost connection to the chat server. Your messages will be sent when it is back.";
                Ok(vec![text(&system(words))])
            }
            Incoming::Rejected(error) => Err(End::Rejected(translate::rejection(&error))),
        }
    }

    fn read_frame(&mut self, frame: ServerFrame) -> Vec<AdapterFrame> {
        match frame {
            ServerFrame::Presence { name, online } => {
                self.roster.presence(name, online);
                Vec::new()
            }
            ServerFrame::Error(error) => vec![system(error.message)],
            // Other frames have no counterpart on existing pages.
            other => {
                drop(other);
                Vec::new()
            }
        }
    }

    /// Tells the page why the session ends, waits for the last messages, and releases the name.
    async fn finish(mut self, end: End) {
        // On failure the browser has gone.
        let _ = match &end {
            End::Gone | End::Exit | End::Broken(_) => Ok(()),
            End::Shutdown => self.socket.send(&system("The web adapter is restarting.")).await,
            End::Away => {
                self.metrics.chat_away.add(1);
                self.socket.send(&system("Lost connection to the chat server. Try again in a moment.")).await
            }
            End::Rejected(message) => self.socket.send(&system(message)).await,
        };
        let _ = timeout(LAST_MESSAGES_TIMEOUT, self.await_last_messages()).await;
        let farewell = async {
            match end {
                End::Gone => {}
                End::Exit => self.socket.close(code::NORMAL, "").await,
                End::Shutdown => self.socket.close(code::GOING_AWAY, "restarting").await,
                End::Away => self.socket.close(code::TRY_AGAIN, "lost connection to the chat server").await,
                End::Rejected(_) => self.socket.close(code::POLICY, "login refused").await,
                End::Broken(code) => self.socket.close(code, "the frame cannot be read").await,
            }
        };
        tokio::join!(farewell, self.client.close());
    }

    /// Waits for outstanding answers. Events that arrive meanwhile are not shown, so their cursors stay.
    async fn await_last_messages(&mut self) {
        while !self.pending.is_empty() {
            tokio::select! {
                _ = self.pending.next() => {}
                incoming = self.incoming.recv() => match incoming {
                    Some(Incoming::Rejected(_)) | None => return,
                    Some(_) => {}
                },
            }
        }
    }
}

fn text(frame: &AdapterFrame) -> Utf8Bytes {
    to_json(frame).into()
}
