//! One user's connection, from the greeting to the end: a single task that reads and writes, and never blocks on only one of these.
//!
//! Each turn of the [`event_loop`]: take [`input`] and handle its [`requests`] → put pending [`output`] into the output buffer → write as
//! much as the kernel takes → move the cursors of what the peer has received ([`confirm`]) → wait until any of that can continue.
//!
//! A slow reader fills the output buffer, then its inbox, which gives up its queue to the store; a fast writer fills the window of answers,
//! and is not read meanwhile. Neither delays any other session.
//!
//! Knows no dialect, only its [`Capabilities`](crate::dialect::codec::Capabilities).

mod answers;
#[cfg(test)]
mod bounds_tests;
mod challenge;
mod confirm;
mod event_loop;
mod history;
mod in_doubt;
mod input;
mod lookup;
mod output;
mod proxy_receipts;
#[cfg(test)]
mod queue_tests;
mod requests;
mod unconfirmed;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use kit::allowance::Allowance;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::access::allowance;
use crate::backend::page_budget::PagePermit;
use crate::delivery::appender::Waiting;
use crate::delivery::catch_up::Pages;
use crate::delivery::hub::Membership;
use crate::delivery::inbox::Style;
use crate::delivery::last_seqs::LastSeqsByDirection;
use crate::delivery::latency::Unwritten;
use crate::delivery::login_time::LoginTime;
use crate::delivery::retry_fence::RetryFence;
use crate::dialect::Dialect;
use crate::dialect::codec::{Capabilities, Device, Hello, Notice};
use crate::dialect::request::Request;
use crate::server::Server;
use crate::traces::Location;
use crate::wire::Wire;
use answers::Answers;
use challenge::Challenge;
use in_doubt::InDoubt;
use proxy_receipts::ProxyReceipts;
use unconfirmed::Unconfirmed;

/// Time limit for answers in flight after `exit`, or when the server stops.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
/// Time limit for what is still queued after the peer's end of file, after which it may still read.
const HALF_CLOSED: Duration = Duration::from_secs(2);
/// A session with prompts whose stored messages cannot be read within this time is prompted without them.
const GREETING: Duration = Duration::from_secs(1);
/// Conversations for which a session with explicit receipts remembers what it was sent; see [`LastSeqsByDirection`].
const SENT: usize = 512;

pub(crate) struct Session {
    server: Arc<Server>,
    member: Membership,
    wire: Wire,
    answers: Answers,
    fence: RetryFence,
    in_doubt: InDoubt,
    allowance: Allowance,
    input: Input,
    opening: Opening,
    replay: Replay,
    receipts: Receipts,
    presence: Option<watch::Receiver<u64>>,
    device: Option<Device>,
    /// The time since which nothing could be written although something is queued.
    stalled_since: Option<Instant>,
    closing: Option<Closing>,
    /// Whether somebody else wants the name.
    challenge: Challenge,
    /// Whether this session has handled the server's shutdown.
    stopping: bool,
    wake_ups: WakeUps,
}

/// Wake-ups of a session besides its peer and its handle. Kept between turns: registering them anew each time would cost as much as the
/// rest of a short turn.
struct WakeUps {
    timer: Pin<Box<Sleep>>,
    stops: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// Whether answers may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opening {
    /// In a dialect with prompts: only once all stored messages were shown, or at this time.
    Until(Instant),
    Over,
}

impl Opening {
    fn is_over(self) -> bool {
        self == Self::Over
    }
}

/// The state of reading.
struct Input {
    /// The time of the last read, or of resuming to read.
    read_at: Instant,
    /// When input without a newline counts as a message.
    silent_at: Option<Instant>,
    /// How often that was postponed.
    extensions: u8,
    /// Nothing was read since then, for any reason, so silence means nothing.
    held_up: bool,
    /// More than a person types was read in this turn.
    read_much: bool,
    /// A request beyond the rate limit, and when it may run.
    over: Option<(Request, Instant)>,
    /// A message that waits for a place in the appender's queue.
    place: Option<Waiting>,
    /// The size of the last request while it waits for a place or is looked up.
    request_size: usize,
    /// The time of the peer's end of file.
    ended_at: Option<Instant>,
    /// When the peer stopped reading; input that it sent before may still be in the kernel.
    unread_since: Option<Instant>,
}

/// The messages read from the store for this session.
struct Replay {
    pages: Option<Pages>,
    page: std::vec::IntoIter<protocol::Event>,
    /// The page's share of the page budget.
    permit: PagePermit,
    /// Whether replayed messages are rendered as stored or as live.
    style: Style,
    /// The client wants nothing from before this.
    only_since: Option<LoginTime>,
    /// The client was told that all unread messages have been sent.
    live_announced: bool,
    /// The header of stored messages was sent.
    header_sent: bool,
}

impl Replay {
    /// Stops the replay.
    fn forget(&mut self) {
        (self.pages, self.page, self.permit) = (None, Vec::new().into_iter(), PagePermit::default());
    }
}

/// What the peer was sent.
struct Receipts {
    /// Events not yet confirmed by the peer's TCP, in dialects without explicit receipts.
    unconfirmed: Unconfirmed,
    /// The same behind a proxy, by the client's own input.
    proxy: ProxyReceipts,
    confirm_at: Option<Instant>,
    confirmed_at: Option<Instant>,
    pause: Duration,
    /// In dialects with explicit receipts: the last event sent in each direction of a conversation.
    sent: LastSeqsByDirection,
    /// Events not yet taken by the kernel.
    unwritten: Unwritten,
}

/// The session is ending.
struct Closing {
    why: &'static str,
    deadline: Instant,
    /// Unread messages are still sent.
    owes_unread: bool,
    /// The client is told why, and when to reconnect, once everything is answered.
    bye: bool,
}

impl Session {
    /// The session of a client that was admitted and greeted.
    pub(crate) fn new(
        server: Arc<Server>,
        member: Membership,
        wire: Wire,
        hello: &Hello,
        login: LoginTime,
    ) -> Self {
        let mut session = Self::of(server, member, wire);
        session.device.clone_from(&hello.device);
        session.presence = hello.presence.then(|| session.server.hub.watch_presence());
        session.replay.only_since = (!hello.replay).then_some(login);
        if hello.token.as_deref().is_some_and(|token| session.server.service_token.matches(token)) {
            // A service answers all users, so it is not limited.
            session.allowance = Allowance::new(0, 0, Instant::now());
        }
        session
    }

    fn of(server: Arc<Server>, member: Membership, wire: Wire) -> Self {
        let now = Instant::now();
        let mut limit = Allowance::new(server.config.messages_per_second, server.config.burst, now);
        // A greeting may list all users online, or all registered users.
        let greeting = allowance::cost_of_bytes(usize::try_from(wire.out.end()).unwrap_or(usize::MAX));
        limit.charge(now, greeting.min(f64::from(server.config.burst)));
        Self {
            opening: if member.handle.dialect.capabilities().asks {
                Opening::Until(now + GREETING)
            } else {
                Opening::Over
            },
            allowance: limit,
            wake_ups: WakeUps {
                timer: Box::pin(tokio::time::sleep_until(now)),
                stops: Box::pin(server.shutdown.clone().cancelled_owned()),
            },
            server,
            member,
            wire,
            answers: Answers::default(),
            fence: RetryFence::default(),
            in_doubt: InDoubt::default(),
            input: Input {
                read_at: now,
                silent_at: None,
                extensions: 0,
                held_up: true,
                read_much: false,
                over: None,
                place: None,
                request_size: 0,
                ended_at: None,
                unread_since: None,
            },
            replay: Replay {
                pages: None,
                page: Vec::new().into_iter(),
                permit: PagePermit::default(),
                style: Style::Stored,
                only_since: None,
                live_announced: false,
                header_sent: false,
            },
            receipts: Receipts {
                unconfirmed: Unconfirmed::default(),
                proxy: ProxyReceipts::default(),
                confirm_at: None,
                confirmed_at: None,
                pause: Duration::ZERO,
                sent: LastSeqsByDirection::new(SENT),
                unwritten: Unwritten::default(),
            },
            presence: None,
            device: None,
            stalled_since: None,
            closing: None,
            challenge: Challenge::default(),
            stopping: false,
        }
    }

    /// The session's name in traces.
    fn place(&self) -> Location {
        let dialect = self.capabilities().name;
        let device = self.device.as_ref().map(|device| format!(" on {device}")).unwrap_or_default();
        let (name, id, peer) = (&self.member.name, self.member.handle.id, self.wire.peer);
        let short = format!("{name}, {dialect} session {id}");
        let full = format!("{short} from {peer}{device}");
        Location { short, full: Some((name.clone(), full)) }
    }

    fn dialect(&self) -> Dialect {
        self.member.handle.dialect
    }

    /// What its dialect can express.
    fn capabilities(&self) -> &'static Capabilities {
        self.dialect().capabilities()
    }

    /// Sends a notice, if the dialect has one.
    fn tell(&mut self, notice: Notice<'_>) {
        if let Some(bytes) = self.dialect().notice(notice) {
            self.wire.out.push(&bytes);
        }
    }

    /// Reads nothing more, and ends once everything queued was sent.
    fn close(&mut self, why: &'static str, within: Duration, owes_unread: bool) {
        if self.closing.is_none() {
            let deadline = Instant::now() + within;
            self.closing = Some(Closing { why, deadline, owes_unread, bye: false });
            self.member.handle.leave();
        }
    }

    /// Ends the session from the server's side: the client is told why and when to reconnect, if its dialect can express that.
    fn close_with_bye(&mut self, why: &'static str) {
        self.close(why, LAST_ANSWERS, false);
        if let Some(closing) = &mut self.closing {
            closing.bye = true;
        }
    }
}
