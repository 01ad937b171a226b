//! A service: a user that is a program and answers each message exactly once, across restarts of any component.
//!
//! The life of a message:
//! * An event arrives. It is skipped if it is the service's own, another program's answer, or of a type that is not a request.
//! * If its sender has exceeded the hourly limit, it is refused, politely once and silently afterwards.
//! * [`Service::next`] returns it as a [`Question`].
//! * [`Question::reply`] stores an answer, marked as a program's, under an id derived from the event's.
//! * [`Question::finish`]: the service's cursor moves past it once everything before it is finished.
//! * If the service dies before that, the event arrives again, and the duplicate answer is recognised by its id.
//!
//! Content of the answers and queueing are left to the caller. It must keep calling [`Service::next`] and never wait for an answer to be
//! stored between two calls, because that acknowledgement arrives behind the waiting events.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use kit::{Context, Exit, Failure, Notifier};
use protocol::native::{Ack, ErrorCode, ErrorFrame, EventFrame, Send};
use protocol::{Body, ClientId, Event, MessageType, Metadata, UserName};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::allowance::{Allowance, Limits, Verdict};
use crate::native::{Incoming, NativeClient, NativeOptions, REPLAY, SendError, is_another};
use crate::progress::Progress;

/// The prefix of all answers' client ids. Services do not answer messages with such an id or marked as automatic
/// ([`protocol::metadata::AUTOMATIC`]), so that two of them cannot keep each other talking.
pub const REPLY_PREFIX: &str = "re-";
/// Time limit for messages in progress at shutdown.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(1200);

/// A service's connection to the chat server, closed on drop.
#[derive(Debug)]
pub struct Service {
    name: UserName,
    kinds: &'static [MessageType],
    incoming: mpsc::Receiver<Incoming>,
    shared: Arc<Shared>,
    shutdown: CancellationToken,
    notifier: Notifier,
    ready: bool,
    /// The server's log, if known.
    log: Option<Uuid>,
    _connection: DropGuard,
}

#[derive(Debug)]
struct Shared {
    client: NativeClient,
    progress: Mutex<Progress>,
    allowance: Mutex<Allowance>,
    /// The type of its answers.
    answers: MessageType,
    /// Signals that a message was finished.
    finished: Notify,
}

impl Shared {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().expect("nobody panics while holding this lock")
    }

    fn allowance(&self) -> MutexGuard<'_, Allowance> {
        self.allowance.lock().expect("nobody panics while holding this lock")
    }
}

/// The description of a service.
#[derive(Debug, Clone)]
pub struct Role {
    /// Its name in the chat.
    pub name: UserName,
    /// The types of messages that are requests.
    pub kinds: &'static [MessageType],
    /// The type of its answers.
    pub answers: MessageType,
    /// The hourly limits of each user.
    pub limits: Limits,
}

impl Service {
    /// Starts connecting. Reports readiness to `context.notifier` once online.
    #[must_use]
    pub fn start(server: SocketAddr, role: Role, context: &Context) -> Self {
        let Role { name, kinds, answers, limits } = role;
        // Not a child of `context.shutdown`: messages in progress at shutdown must still be stored.
        let connection = CancellationToken::new();
        let options = NativeOptions::service(server, name.clone(), context.service_token.clone());
        let (client, incoming) = NativeClient::start(options, connection.clone());
        let shared = Shared {
            client,
            progress: Mutex::default(),
            allowance: Mutex::new(Allowance::new(limits)),
            answers,
            finished: Notify::new(),
        };
        Self {
            name,
            kinds,
            incoming,
            shared: Arc::new(shared),
            shutdown: context.shutdown.clone(),
            notifier: context.notifier.clone(),
            ready: false,
            log: None,
            _connection: connection.drop_guard(),
        }
    }

    /// The client, for unsolicited messages.
    #[must_use]
    pub fn client(&self) -> &NativeClient {
        &self.shared.client
    }

    /// The next message to process, or `None` at shutdown.
    ///
    /// # Errors
    /// When the chat server rejects the service.
    pub async fn next(&mut self) -> Result<Option<Question>, Failure> {
        loop {
            if self.shared.progress().must_replay() {
                let shared = Arc::clone(&self.shared);
                // In a separate task, because this one must keep receiving.
                tokio::spawn(async move { shared.client.replay().await });
            }
            let incoming = tokio::select! {
                () = self.shutdown.cancelled() => return Ok(None),
                () = self.shared.finished.notified() => continue,
                incoming = self.incoming.recv() => incoming,
            };
            let Some(incoming) = incoming else { return Ok(None) };
            if let Some(question) = self.take(incoming)? {
                return Ok(Some(question));
            }
        }
    }

    fn take(&mut self, incoming: Incoming) -> Result<Option<Question>, Failure> {
        match incoming {
            Incoming::Event(frame) => Ok(self.event(*frame)),
            Incoming::Connected(welcome) => {
                tracing::info!(name = %welcome.name, "online");
                if is_another(self.log, welcome.log) {
                    tracing::warn!(
                        "the server's store was restored from a backup; reading unread messages again"
                    );
                    self.shared.progress().restart();
                }
                self.log = welcome.log.or(self.log);
                self.online(&format!("online as {}", welcome.name));
                Ok(None)
            }
            Incoming::Disconnected { reason, .. } => {
                if reason == REPLAY {
                    self.shared.progress().replay_started();
                }
                tracing::warn!(reason, "lost connection to the chat server; reconnecting");
                self.notifier.status(&format!("not connected: {reason}"));
                Ok(None)
            }
            Incoming::Rejected(error) => Err(rejected(&error)),
            Incoming::Frame(_) => Ok(None),
        }
    }

    fn online(&mut self, status: &str) {
        if std::mem::replace(&mut self.ready, true) {
            self.notifier.status(status);
        } else {
            self.notifier.ready(status);
        }
    }

    fn event(&self, frame: EventFrame) -> Option<Question> {
        let EventFrame { event, replayed } = frame;
        if !self.asks(&event) {
            let seen = self.shared.progress().pass(&event.conversation, event.seq);
            if let Some(seq) = seen {
                let (shared, conversation) = (Arc::clone(&self.shared), event.conversation);
                // In a separate task, because this one must keep receiving.
                tokio::spawn(async move { shared.client.seen(conversation, seq).await });
            }
            return None;
        }
        let mut progress = self.shared.progress();
        let (begun, epoch) = (progress.begin(&event.conversation, event.seq), progress.epoch());
        drop(progress);
        let question =
            begun.then(|| Question { event, replayed, epoch, shared: Arc::clone(&self.shared) })?;
        let verdict = self.shared.allowance().ask(question.event.sender.key(), Instant::now());
        match verdict {
            Verdict::Granted => return Some(question),
            // In separate tasks, because this one must keep receiving.
            Verdict::Exceeded { again } => drop(tokio::spawn(question.refuse(again))),
            Verdict::Silent => drop(tokio::spawn(question.finish())),
        }
        None
    }

    fn asks(&self, event: &Event) -> bool {
        event.sender != self.name
            && self.kinds.contains(&event.kind)
            && !event.client_id.as_str().starts_with(REPLY_PREFIX)
            && !event.metadata.is_automatic()
    }

    /// Waits briefly for messages in progress; call it after [`Service::next`] returned `None`.
    pub async fn drain(&mut self, in_progress: impl Future<Output = ()>) {
        let mut in_progress = pin!(tokio::time::timeout(DRAIN_TIMEOUT, in_progress));
        loop {
            tokio::select! {
                _ = &mut in_progress => return,
                // The awaited acknowledgements arrive behind these events, which arrive again at the next start.
                incoming = self.incoming.recv() => if incoming.is_none() { return },
            }
        }
    }
}

fn rejected(error: &ErrorFrame) -> Failure {
    let exit = if error.code == ErrorCode::BadName { Exit::Config } else { Exit::Unavailable };
    Failure::new(exit, format!("the chat server refuses this service: {}", error.message))
}

/// A message to the service. If dropped without [`Question::finish`], it arrives again at the next start.
#[derive(Debug)]
pub struct Question {
    /// The message.
    pub event: Event,
    /// Whether it was stored before the service came online; it may have been answered already.
    pub replayed: bool,
    /// The epoch of its log.
    epoch: u64,
    shared: Arc<Shared>,
}

impl Question {
    /// The client id of a part of the answer, counted from 1. The first is `re-` and the event's id.
    #[must_use]
    pub fn reply_id(&self, part: usize) -> ClientId {
        let id = self.event.id;
        let text =
            if part == 1 { format!("{REPLY_PREFIX}{id}") } else { format!("{REPLY_PREFIX}{id}-{part}") };
        ClientId::parse(&text).expect("a UUID and a number are short printable ASCII")
    }

    /// Stores a part of the answer, marked as a program's, and returns when it is durable.
    ///
    /// # Errors
    /// When the server rejects it, or the client has ended.
    ///
    /// # Panics
    /// When the metadata is too large for the mark.
    pub async fn reply(&self, part: usize, body: Body, metadata: Metadata) -> Result<Ack, SendError> {
        let metadata = metadata.into_automatic().expect("a service's metadata leave room for the mark");
        let send = Send {
            client_id: self.reply_id(part),
            to: self.event.sender.clone(),
            body,
            kind: self.shared.answers,
            metadata,
            timestamp: None,
            trace: false,
        };
        self.shared.client.send(send).await
    }

    /// Counts the cost of an answer towards the sender's hourly limit.
    pub fn spend(&self, cost: u64) {
        self.shared.allowance().spend(self.event.sender.key(), cost, Instant::now());
    }

    /// Answers that the sender's hourly limit is exceeded.
    async fn refuse(self, again: Duration) {
        tracing::info!(user = %self.event.sender, "throttled: too many requests this hour");
        match self.reply(1, too_much(again), Metadata::default()).await {
            Ok(_) | Err(SendError::Refused(_)) => self.finish().await,
            // It is refused after the next start.
            Err(SendError::Ended) => {}
        }
    }

    /// Marks it as processed, so that it does not arrive again.
    pub async fn finish(self) {
        let Self { event, epoch, shared, .. } = self;
        let seen = shared.progress().finish(epoch, &event.conversation, event.seq);
        if let Some(seq) = seen {
            shared.client.seen(event.conversation, seq).await;
        }
        shared.finished.notify_one();
    }
}

/// The answer to the first message over the limit.
fn too_much(again: Duration) -> Body {
    let minutes = again.as_secs().div_ceil(60).max(1);
    let minutes = if minutes == 1 { "1 minute".to_owned() } else { format!("{minutes} minutes") };
    let text = format!(
        "You have reached my hourly limit for one user. Please come back in {minutes}; I do not answer before that."
    );
    Body::parse(&text).expect("our own words are a message")
}
