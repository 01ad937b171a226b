//! One user's connection, from the greeting to the end: a single task that reads, writes and never waits for only one of them.
//!
//! Each turn of [`Session::run`]: take what came in ([`intake`]) → put what is due into the outgoing buffer ([`output`]) → give the
//! kernel what it takes → move cursors for what the peer has ([`confirm`]) → wait until any of that can go on.
//!
//! A slow reader fills the outgoing buffer, then its inbox, which gives up its queue to the store; a fast writer fills the window of
//! answers, and is not read any more. Neither holds up anybody else.

mod answered;
pub(crate) mod answers;
mod challenge;
mod confirm;
mod intake;
mod marks;
mod output;
pub(crate) mod unsure;

pub(crate) use challenge::PATIENCE as CHALLENGE_PATIENCE;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use kit::allowance::Allowance;
use protocol::native::{Device, Hello};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::delivery::appender::Waiting;
use crate::delivery::catch_up::Page;
use crate::delivery::hub::Membership;
use crate::delivery::inbox::Style;
use crate::delivery::lane::Lane;
use crate::delivery::login_time::LoginTime;
use crate::delivery::outlet::Dialect;
use crate::delivery::positions::Lanes;
use crate::delivery::transit::Unwritten;
use crate::dialect::request::{self, Request};
use crate::server::Server;
use crate::traces::Location;
use crate::wire::{LINGER, Wire};
use answered::Answered;
use answers::Answers;
use challenge::{Challenge, VANISHED};
use kit::places::Place;
use kit::unfinished::REFUSAL;
use marks::Marks;
use unsure::Unsure;

/// After `exit`, or when the server stops: answers under way arrive within this time.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
/// After the peer's end of file, which it may have sent while it still reads: what it is owed gets this long.
const HALF_CLOSED: Duration = Duration::from_secs(2);
/// A server that stops does not wait long for peers to notice.
const LINGER_WHEN_STOPPING: Duration = Duration::from_millis(50);
/// A book session whose kept messages cannot be read within this time is asked for its first line without them.
const GREETING: Duration = Duration::from_secs(1);
/// Conversations of which a native session remembers what it was sent; see [`Lanes`].
const SENT: usize = 512;

/// What a peer sent before it closed is done at the pace it may send at, for no longer than this: 12,000 messages with the usual limit. A
/// peer that is gone takes a place and what the system holds of its bytes; both could be had as cheaply by staying.
const DRAIN_WITHIN: Duration = Duration::from_secs(600);

/// Why what a peer sent is not all done.
const SENT_TOO_MUCH: &str = "it sent more before it closed than it may send in ten minutes";
/// Why a peer that does not read is let go.
const TOOK_NOTHING: &str = "it took nothing for too long";

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
    greeting: Greeting,
    replay: Replay,
    receipts: Receipts,
    presence: Option<watch::Receiver<u64>>,
    device: Option<Device>,
    /// Nothing was written since then, though something waits.
    stalled_since: Option<Instant>,
    closing: Option<Closing>,
    /// Somebody else wants the name.
    challenge: Option<Challenge>,
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
enum Greeting {
    /// Book: not before everything kept was shown, or this time.
    Until(Instant),
    /// Yes.
    Over,
}

impl Greeting {
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
    /// The peer will send no more, since then.
    ended_at: Option<Instant>,
}

/// What is read from the store for this session.
struct Replay {
    pages: Option<mpsc::Receiver<Page>>,
    page: std::vec::IntoIter<protocol::Event>,
    /// Whether what is read looks as if kept, or as if live.
    style: Style,
    /// The client wants nothing that was said before this.
    only_since: Option<LoginTime>,
    /// The client was told that everything unseen has been sent.
    told_live: bool,
    /// Book: what was kept was announced.
    told_header: bool,
}

/// What the peer was sent.
struct Receipts {
    /// Text: events not confirmed by the peer's TCP.
    marks: Marks,
    /// The same behind a proxy, by what the client says.
    answered: Answered,
    confirm_at: Option<Instant>,
    confirmed_at: Option<Instant>,
    pause: Duration,
    /// Native: the last event of each lane of a conversation.
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
    /// A native client is told when to come back, once everything is answered.
    bye: bool,
}

impl Session {
    /// A session in a dialect of lines.
    pub(crate) fn lines(server: Arc<Server>, member: Membership, wire: Wire) -> Self {
        Self::new(server, member, wire, Style::Stored)
    }

    /// A session in the native dialect.
    pub(crate) fn native(
        server: Arc<Server>,
        member: Membership,
        wire: Wire,
        hello: &Hello,
        login: LoginTime,
    ) -> Self {
        let mut session = Self::new(server, member, wire, Style::Stored);
        session.device.clone_from(&hello.device);
        session.presence = hello.presence.then(|| session.server.hub.watch_presence());
        session.replay.only_since = (!hello.replay).then_some(login);
        if hello.token.as_deref().is_some_and(|token| session.server.service_token.matches(token)) {
            // A service answers everybody at once.
            session.allowance = Allowance::new(0, 0, Instant::now());
        }
        session
    }

    fn new(server: Arc<Server>, member: Membership, wire: Wire, style: Style) -> Self {
        let now = Instant::now();
        let mut allowance = Allowance::new(server.config.messages_per_second, server.config.burst, now);
        // A greeting names everybody online, and in the book dialect everybody at all.
        let greeting = request::bytes(usize::try_from(wire.out.end()).unwrap_or(usize::MAX));
        allowance.charge(now, greeting.min(f64::from(server.config.burst)));
        Self {
            greeting: match member.outlet.dialect {
                Dialect::Book => Greeting::Until(now + GREETING),
                Dialect::Text | Dialect::Native => Greeting::Over,
            },
            allowance,
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
                ended_at: None,
            },
            replay: Replay {
                pages: None,
                page: Vec::new().into_iter(),
                style,
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
            challenge: None,
            stopping: false,
        }
    }

    /// What this session is called in a trace.
    fn place(&self) -> Location {
        let dialect = self.dialect().name();
        let device = self.device.as_ref().map(|device| format!(" on {device}")).unwrap_or_default();
        let (name, id, peer) = (&self.member.name, self.member.outlet.id, self.wire.peer);
        let short = format!("{name}, {dialect} session {id}");
        let full = format!("{short} from {peer}{device}");
        Location { short, full: Some((name.clone(), full)) }
    }

    fn dialect(&self) -> Dialect {
        self.member.outlet.dialect
    }

    fn is_lines(&self) -> bool {
        self.dialect().is_lines()
    }

    /// Talks until the end, gives the name back and closes.
    ///
    /// This future is what an idle session is made of; the end is boxed because few sessions end at once.
    #[expect(clippy::manual_async_fn, reason = "an async fn would hold its arguments twice")]
    pub(crate) fn run(mut self, place: Place) -> impl Future<Output = ()> + Send {
        async move {
            let why = self.talk().await.unwrap_or("connection lost");
            Box::pin(self.leave(why)).await;
            drop(place);
        }
    }

    async fn leave(mut self, why: &'static str) {
        self.member.outlet.leave();
        self.confirm(Instant::now());
        self.server.journal.went(&self.member.name, why);
        let Self { member, wire, stopping, .. } = self;
        drop(member);
        if why == TOOK_NOTHING || why == VANISHED {
            return wire.abort();
        }
        wire.close(if stopping { LINGER_WHEN_STOPPING } else { LINGER }).await;
    }

    async fn talk(&mut self) -> std::io::Result<&'static str> {
        loop {
            self.intake();
            if self.wire.is_refused() && self.closing.is_none() {
                self.refuse_unfinished();
            }
            let was_full = self.answers.is_full();
            self.fill();
            let was_filled = self.wire.out.has_enough();
            self.write();
            let now = Instant::now();
            self.confirm_if_due(now);
            if self.member.outlet.is_sent_away() && self.closing.is_none() {
                self.close_with_bye("the server's log is another one than before; begin anew");
            }
            if self.is_vanished(now) {
                return Ok(VANISHED);
            }
            if let Some(why) = self.end(now) {
                return Ok(why);
            }
            // Room that came free meanwhile is used at once.
            let room = was_full && !self.answers.is_full() || was_filled && !self.wire.out.has_enough();
            if room || std::mem::take(&mut self.intake.read_much) {
                // A peer that never pauses must not keep a worker to itself: others have their turn between.
                tokio::task::yield_now().await;
            }
            // Also with something to do: whether the server stops is known by waiting only.
            self.wait(room).await?;
        }
    }

    fn write(&mut self) {
        let progress = self.wire.out.write_to(&self.wire.stream);
        if self.wire.out.is_broken() {
            self.peer_is_gone();
        }
        if progress {
            let (now, metrics) = (Instant::now(), &self.server.metrics);
            let dialect = self.member.outlet.dialect;
            let note = |received| metrics.written(dialect, now.duration_since(received));
            self.receipts.unwritten.written(self.wire.out.written(), note);
        }
        if progress && self.wire.is_proxied {
            self.receipts.answered.wrote(Instant::now(), self.wire.out.written());
        }
        if self.wire.out.is_empty() {
            self.stalled_since = None;
        } else if progress || self.stalled_since.is_none() {
            self.stalled_since = Some(Instant::now());
        }
    }

    /// Nobody hears what is sent from now on. What the peer sent before is still done, at the pace it may send at: it cannot know that its
    /// answers are lost. Meanwhile its name is free, and what it was sent without confirming it is shown again.
    fn peer_is_gone(&mut self) {
        self.receipts.marks = Marks::default();
        self.receipts.unwritten.forget();
        self.receipts.confirm_at = None;
        self.member.leave();
    }

    /// Whether the session is over, and why.
    fn end(&self, now: Instant) -> Option<&'static str> {
        if self.stalled_since.is_some_and(|since| now >= since + self.server.config.write_timeout) {
            return Some(TOOK_NOTHING);
        }
        if self.closing.is_none() && self.intake.ended_at.is_some_and(|at| now >= at + DRAIN_WITHIN) {
            return Some(SENT_TOO_MUCH);
        }
        let closing = self.closing.as_ref()?;
        let owes = !self.answers.is_empty()
            || !self.wire.out.is_empty()
            || !self.receipts.marks.is_empty() && !self.wire.is_proxied
            || closing.bye
            || (closing.owes_unseen
                && !self.wire.out.is_broken()
                && !self.member.outlet.mail().inbox.is_live());
        (!owes || now >= closing.deadline).then_some(closing.why)
    }

    /// Takes nothing more from the peer, and ends when it has what it is owed.
    fn close(&mut self, why: &'static str, within: Duration, owes_unseen: bool) {
        if self.closing.is_none() {
            let deadline = Instant::now() + within;
            self.closing = Some(Closing { why, deadline, owes_unseen, bye: false });
            self.member.outlet.leave();
        }
    }

    /// It holds more than its part of the memory for unfinished messages. What it holds is dropped at once.
    fn refuse_unfinished(&mut self) {
        self.wire.framer.forget();
        self.intake.over = None;
        if self.is_lines() {
            self.wire.out.push(format!("{REFUSAL}\n").as_bytes());
        }
        self.close_with_bye(REFUSAL);
    }

    fn server_stops(&mut self) {
        self.stopping = true;
        self.closing = None;
        self.close_with_bye("the server stops");
    }

    /// Ends it from our side: a native client is told why, and when to come back.
    fn close_with_bye(&mut self, why: &'static str) {
        self.close(why, LAST_ANSWERS, false);
        if let Some(closing) = &mut self.closing {
            closing.bye = !self.member.outlet.dialect.is_lines();
        }
    }

    /// Waits until any part of the session can go on, which it can at once where there is `room`.
    async fn wait(&mut self, room: bool) -> std::io::Result<()> {
        let (reads, writes) = (self.reads(), !self.wire.out.is_empty());
        // While the outgoing buffer is full, what could fill it further is no reason to wake.
        let fills = !self.wire.out.has_enough();
        let wants_page = fills && self.wants_page();
        let wakes_at = self.wakes_at();
        if let Some(at) = wakes_at.filter(|at| *at != self.alarm.timer.deadline()) {
            self.alarm.timer.as_mut().reset(at);
        }
        tokio::select! {
            readable = self.wire.stream.readable(), if reads => readable?,
            writable = self.wire.stream.writable(), if writes => writable?,
            () = self.answers.ready(), if fills && self.greeting.is_over() => {}
            // A session that is also full would be woken by every event that it cannot send.
            () = self.member.outlet.wake.notified(), if fills => {}
            () = self.member.outlet.summons.notified() => {}
            page = next_page(&mut self.replay.pages), if wants_page => self.take_page(page),
            () = changed(&mut self.presence), if fills => {}
            () = self.wire.refused(), if self.closing.is_none() => {}
            () = self.alarm.stops.as_mut(), if !self.stopping => self.server_stops(),
            () = self.alarm.timer.as_mut(), if wakes_at.is_some() => {}
            () = placed(&mut self.intake.place), if self.intake.place.is_some() => self.intake.place = None,
            () = std::future::ready(()), if room => {}
        }
        Ok(())
    }

    fn wakes_at(&self) -> Option<Instant> {
        let closing = self.closing.as_ref().map(|closing| closing.deadline);
        let stalled = self.stalled_since.map(|since| since + self.server.config.write_timeout);
        let greeting = match self.greeting {
            Greeting::Until(deadline) => Some(deadline),
            Greeting::Over => None,
        };
        let others = [greeting, self.receipts.confirm_at, self.intake_wakes_at(), self.challenge_wakes_at()];
        let drained = self.intake.ended_at.map(|at| at + DRAIN_WITHIN);
        [closing, stalled, drained].into_iter().chain(others).flatten().min()
    }
}

async fn next_page(pages: &mut Option<mpsc::Receiver<Page>>) -> Option<Page> {
    match pages {
        Some(pages) => pages.recv().await,
        None => std::future::pending().await,
    }
}

async fn placed(place: &mut Option<Waiting>) {
    match place {
        Some(place) => place.await,
        None => std::future::pending().await,
    }
}

async fn changed(presence: &mut Option<watch::Receiver<u64>>) {
    if let Some(presence) = presence
        && presence.changed().await.is_ok()
    {
        return;
    }
    // Nothing is wanted, or the sender is gone, which lives as long as the server.
    std::future::pending().await
}

#[cfg(test)]
mod queue_tests;

#[cfg(test)]
mod tests {
    use super::*;

    fn size<F>(_: impl Fn(Session, Place) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_idle_session_is_small() {
        let size = size(Session::run);
        assert!(size < 2560, "{size} bytes");
    }
}
