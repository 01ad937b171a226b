//! One user's connection, from the greeting to the end: a single task that reads, writes and never waits for only one of them.
//!
//! Each turn of [`talk`]: take what came in ([`reads`]) and do it ([`acts`]) → put what is due into the outgoing buffer ([`writes`]) → give
//! the kernel what it takes → move cursors for what the peer has ([`confirm`]) → wait until any of that can go on.
//!
//! A slow reader fills the outgoing buffer, then its inbox, which gives up its queue to the store; a fast writer fills the window of
//! answers, and is not read any more. Neither holds up anybody else.
//!
//! Knows no dialect, only what one can do: [`Manner`](crate::dialect::speech::Manner).

mod acts;
mod answered;
mod answers;
#[cfg(test)]
mod bounds_tests;
mod challenge;
mod confirm;
mod history;
mod lookup;
mod marks;
#[cfg(test)]
mod queue_tests;
mod reads;
mod talk;
mod unsure;
mod writes;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use kit::allowance::Allowance;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::access::allowance;
use crate::backend::room::Kept;
use crate::delivery::appender::Waiting;
use crate::delivery::catch_up::Page;
use crate::delivery::hub::Membership;
use crate::delivery::inbox::Style;
use crate::delivery::lane::Lane;
use crate::delivery::login_time::LoginTime;
use crate::delivery::positions::Lanes;
use crate::delivery::transit::Unwritten;
use crate::dialect::Dialect;
use crate::dialect::request::Request;
use crate::dialect::speech::{Device, Hello, Manner, Notice};
use crate::server::Server;
use crate::traces::Location;
use crate::wire::Wire;
use answered::Answered;
use answers::Answers;
use challenge::Challenge;
use marks::Marks;
use unsure::Unsure;

/// After `exit`, or when the server stops: answers under way arrive within this time.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
/// After the peer's end of file, which it may have sent while it still reads: what it is owed gets this long.
const HALF_CLOSED: Duration = Duration::from_secs(2);
/// A session that is asked for each line, and whose kept messages cannot be read within this time, is asked for its first one without them.
const GREETING: Duration = Duration::from_secs(1);
/// Conversations of which a session with receipts of its own remembers what it was sent; see [`Lanes`].
const SENT: usize = 512;

/// A session.
pub(crate) struct Session {
    server: Arc<Server>,
    member: Membership,
    wire: Wire,
    answers: Answers,
    lane: Lane,
    unsure: Unsure,
    allowance: Allowance,
    intake: Intake,
    opening: Opening,
    replay: Replay,
    receipts: Receipts,
    presence: Option<watch::Receiver<u64>>,
    device: Option<Device>,
    /// Nothing was written since then, though something waits.
    stalled_since: Option<Instant>,
    closing: Option<Closing>,
    /// Whether somebody else wants the name.
    challenge: Challenge,
    /// The server stops, and this session knows.
    stopping: bool,
    alarm: Alarm,
}

/// What wakes a session beside its peer and its mailbox. Kept from one turn to the next: to register anew each time would cost as
/// much as the rest of a short turn.
struct Alarm {
    timer: Pin<Box<Sleep>>,
    stops: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// Whether answers may be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opening {
    /// Where each line is asked for: not before everything kept was shown, or this time.
    Until(Instant),
    /// Yes.
    Over,
}

impl Opening {
    fn is_over(self) -> bool {
        self == Self::Over
    }
}

/// How far reading is.
struct Intake {
    /// When something was read last, or reading went on.
    read_at: Instant,
    /// When bytes without a newline count as a message.
    silent_at: Option<Instant>,
    /// How often that was put off.
    extensions: u8,
    /// Nothing was read since, for whatever reason: quiet then says nothing.
    held_up: bool,
    /// More than a person types was read in this turn.
    read_much: bool,
    /// Asked for, and over the allowance until then.
    over: Option<(Request, Instant)>,
    /// It waits for a place in the queue of what is to be stored.
    place: Option<Waiting>,
    /// What the last request holds, while it waits for that or is looked up.
    in_hand: usize,
    /// The peer will send no more, since then.
    ended_at: Option<Instant>,
    /// Nobody hears what is sent, since then; what the peer sent before may still lie in the kernel.
    gone_at: Option<Instant>,
}

/// What is read from the store for this session.
struct Replay {
    pages: Option<mpsc::Receiver<Page>>,
    page: std::vec::IntoIter<protocol::Event>,
    /// What that page takes of the room for pages.
    kept: Kept,
    /// Whether what is read looks as if kept, or as if live.
    style: Style,
    /// The client wants nothing that was said before this.
    only_since: Option<LoginTime>,
    /// The client was told that everything unseen has been sent.
    told_live: bool,
    /// What was kept was announced.
    told_header: bool,
}

impl Replay {
    /// Nobody is shown anything any more.
    fn forget(&mut self) {
        (self.pages, self.page, self.kept) = (None, Vec::new().into_iter(), Kept::default());
    }
}

/// What the peer was sent.
struct Receipts {
    /// Events not confirmed by the peer's TCP, where that is what confirms them.
    marks: Marks,
    /// The same behind a proxy, by what the client says.
    answered: Answered,
    confirm_at: Option<Instant>,
    confirmed_at: Option<Instant>,
    pause: Duration,
    /// Where the client confirms events: the last one of each lane of a conversation.
    sent: Lanes,
    /// What is not in the kernel's hands yet.
    unwritten: Unwritten,
}

/// The session is on its way out.
struct Closing {
    why: &'static str,
    deadline: Instant,
    /// What is unseen is still sent.
    owes_unseen: bool,
    /// The client is told why and when to come back, once everything is answered.
    bye: bool,
}

impl Session {
    /// The session of somebody who said `hello` and was greeted.
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
            // A service answers everybody at once.
            session.allowance = Allowance::new(0, 0, Instant::now());
        }
        session
    }

    fn of(server: Arc<Server>, member: Membership, wire: Wire) -> Self {
        let now = Instant::now();
        let mut limit = Allowance::new(server.config.messages_per_second, server.config.burst, now);
        // A greeting may name everybody online, or everybody at all.
        let greeting = allowance::of_bytes(usize::try_from(wire.out.end()).unwrap_or(usize::MAX));
        limit.charge(now, greeting.min(f64::from(server.config.burst)));
        Self {
            opening: if member.outlet.dialect.manner().asks {
                Opening::Until(now + GREETING)
            } else {
                Opening::Over
            },
            allowance: limit,
            alarm: Alarm {
                timer: Box::pin(tokio::time::sleep_until(now)),
                stops: Box::pin(server.shutdown.clone().cancelled_owned()),
            },
            server,
            member,
            wire,
            answers: Answers::default(),
            lane: Lane::default(),
            unsure: Unsure::default(),
            intake: Intake {
                read_at: now,
                silent_at: None,
                extensions: 0,
                held_up: true,
                read_much: false,
                over: None,
                place: None,
                in_hand: 0,
                ended_at: None,
                gone_at: None,
            },
            replay: Replay {
                pages: None,
                page: Vec::new().into_iter(),
                kept: Kept::default(),
                style: Style::Stored,
                only_since: None,
                told_live: false,
                told_header: false,
            },
            receipts: Receipts {
                marks: Marks::default(),
                answered: Answered::default(),
                confirm_at: None,
                confirmed_at: None,
                pause: Duration::ZERO,
                sent: Lanes::new(SENT),
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

    /// What this session is called in a trace.
    fn place(&self) -> Location {
        let dialect = self.manner().name;
        let device = self.device.as_ref().map(|device| format!(" on {device}")).unwrap_or_default();
        let (name, id, peer) = (&self.member.name, self.member.outlet.id, self.wire.peer);
        let short = format!("{name}, {dialect} session {id}");
        let full = format!("{short} from {peer}{device}");
        Location { short, full: Some((name.clone(), full)) }
    }

    fn dialect(&self) -> Dialect {
        self.member.outlet.dialect
    }

    /// What its dialect can do.
    fn manner(&self) -> &'static Manner {
        self.dialect().manner()
    }

    /// Tells the client something that it did not ask for, if its dialect has words for that.
    fn tell(&mut self, notice: Notice<'_>) {
        if let Some(bytes) = self.dialect().notice(notice) {
            self.wire.out.push(&bytes);
        }
    }

    /// Takes nothing more from the peer, and ends when it has what it is owed.
    fn close(&mut self, why: &'static str, within: Duration, owes_unseen: bool) {
        if self.closing.is_none() {
            let deadline = Instant::now() + within;
            self.closing = Some(Closing { why, deadline, owes_unseen, bye: false });
            self.member.outlet.leave();
        }
    }

    /// Ends it from our side: a client is told why, and when to come back, where its dialect has words for that.
    fn close_with_bye(&mut self, why: &'static str) {
        self.close(why, LAST_ANSWERS, false);
        if let Some(closing) = &mut self.closing {
            closing.bye = true;
        }
    }
}
