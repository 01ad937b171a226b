//! The turns of a session, from the greeting to the end.

use std::time::Duration;

use kit::places::Place;
use kit::unfinished::REFUSAL;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::challenge::VANISHED;
use super::marks::Marks;
use super::{Intake, Opening, Session};
use crate::delivery::appender::Waiting;
use crate::delivery::catch_up::Page;
use crate::dialect::speech::Notice;
use crate::wire::LINGER;

/// A server that stops does not wait long for peers to notice.
const LINGER_WHEN_STOPPING: Duration = Duration::from_millis(50);
/// What a peer sent before it closed is done at the pace it may send at, for no longer than this: 12,000 messages with the usual limit. A
/// peer that is gone takes a place and what the system holds of its bytes; both could be had as cheaply by staying.
const DRAIN_WITHIN: Duration = Duration::from_secs(600);

/// Why what a peer sent is not all done.
const SENT_TOO_MUCH: &str = "it sent more before it closed than it may send in ten minutes";
/// Why a peer that does not read is let go.
const TOOK_NOTHING: &str = "it took nothing for too long";

impl Session {
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
            if self.challenge.is_lost(&self.member.outlet, &self.wire, &self.server.send_queue, now) {
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
        self.replay.forget();
        self.intake.gone_at.get_or_insert_with(Instant::now);
        self.member.leave();
    }

    /// When what the peer sent must be done that sends no more, or hears nothing more.
    fn drained_at(&self) -> Option<Instant> {
        let Intake { ended_at, gone_at, .. } = &self.intake;
        ended_at.iter().chain(gone_at).min().map(|at| *at + DRAIN_WITHIN)
    }

    /// Whether the session is over, and why.
    fn end(&self, now: Instant) -> Option<&'static str> {
        if self.stalled_since.is_some_and(|since| now >= since + self.server.config.write_timeout) {
            return Some(TOOK_NOTHING);
        }
        if self.closing.is_none() && self.drained_at().is_some_and(|at| now >= at) {
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

    /// It holds more than its part of the memory for unfinished messages. What it holds is dropped at once.
    fn refuse_unfinished(&mut self) {
        self.wire.forget();
        (self.intake.over, self.intake.place) = (None, None);
        self.tell(Notice::Unfinished(REFUSAL));
        self.close_with_bye(REFUSAL);
    }

    fn server_stops(&mut self) {
        self.stopping = true;
        self.closing = None;
        self.close_with_bye("the server stops");
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
            readable = self.wire.readable(), if reads => readable?,
            writable = self.wire.stream.writable(), if writes => writable?,
            () = self.answers.ready(), if fills && self.opening.is_over() => {}
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
        let opening = match self.opening {
            Opening::Until(deadline) => Some(deadline),
            Opening::Over => None,
        };
        let others = [opening, self.receipts.confirm_at, self.intake_wakes_at(), self.challenge.wakes_at()];
        let drained = self.drained_at();
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
