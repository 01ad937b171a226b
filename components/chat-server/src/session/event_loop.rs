//! The event loop of a session, from the greeting to the end.

use std::time::Duration;

use kit::places::Place;
use kit::unfinished::REFUSAL;
use tokio::sync::watch;
use tokio::time::Instant;

use super::challenge::PEER_VANISHED;
use super::unconfirmed::Unconfirmed;
use super::{Input, Opening, Session};
use crate::delivery::appender::Waiting;
use crate::delivery::catch_up::{Page, Pages};
use crate::dialect::codec::Notice;
use crate::wire::LINGER;

/// A server that stops waits only briefly for peers to notice.
const LINGER_WHEN_STOPPING: Duration = Duration::from_millis(50);
/// Time limit for input that a peer sent before it closed, handled within the rate limit: 12,000 messages with the default limit. Such a
/// peer takes a place and kernel memory, which it could take as cheaply by staying connected.
const DRAIN_WITHIN: Duration = Duration::from_secs(600);

/// The reason given if some of a peer's input was not handled.
const SENT_TOO_MUCH: &str = "it sent more before it closed than it may send in ten minutes";
/// The reason given if its user's account does not admit it any more.
const REVOKED: &str = "its token was revoked, or the name is protected now";
/// The reason given if a peer that does not read is disconnected.
const TOOK_NOTHING: &str = "it took nothing for too long";

impl Session {
    /// Runs the session, leaves the roster and closes the connection.
    ///
    /// An idle session consists of this future; its end is boxed because few sessions end at the same time.
    #[expect(clippy::manual_async_fn, reason = "an async fn would hold its arguments twice")]
    pub(crate) fn run(mut self, place: Place) -> impl Future<Output = ()> + Send {
        async move {
            let why = self.run_loop().await.unwrap_or("connection lost");
            Box::pin(self.leave(why)).await;
            drop(place);
        }
    }

    async fn leave(mut self, why: &'static str) {
        self.member.handle.leave();
        self.confirm(Instant::now());
        self.server.login_log.logged_out(&self.member.name, why);
        let Self { member, wire, stopping, .. } = self;
        drop(member);
        if why == TOOK_NOTHING || why == PEER_VANISHED {
            return wire.abort();
        }
        wire.close(if stopping { LINGER_WHEN_STOPPING } else { LINGER }).await;
    }

    async fn run_loop(&mut self) -> std::io::Result<&'static str> {
        loop {
            // Before its input: what it sent meanwhile is not its user's.
            if self.member.handle.is_revoked() {
                return Ok(REVOKED);
            }
            self.handle_input();
            if self.wire.is_refused() && self.closing.is_none() {
                self.refuse_unfinished();
            }
            let was_full = self.answers.is_full();
            self.fill();
            let was_filled = self.wire.out.has_enough();
            self.write();
            let now = Instant::now();
            self.confirm_if_due(now);
            if self.member.handle.must_reconnect() && self.closing.is_none() {
                self.close_with_bye("the server's log is another one than before; begin anew");
            }
            if self.challenge.peer_vanished(&self.member.handle, &self.wire, &self.server.send_queue, now) {
                return Ok(PEER_VANISHED);
            }
            if let Some(why) = self.end(now) {
                return Ok(why);
            }
            // Use room that became free meanwhile at once.
            let room = was_full && !self.answers.is_full() || was_filled && !self.wire.out.has_enough();
            if room || std::mem::take(&mut self.input.read_much) {
                // A peer that sends continuously must not occupy a worker: other tasks get their turn here.
                tokio::task::yield_now().await;
            }
            // Also if there is more to do: a shutdown is noticed only by waiting.
            self.wait(room).await?;
        }
    }

    fn write(&mut self) {
        let progress = self.wire.out.write_to(&self.wire.stream);
        if self.wire.out.is_broken() {
            self.stop_output();
        }
        if progress {
            let (now, metrics) = (Instant::now(), &self.server.metrics);
            let dialect = self.member.handle.dialect;
            let note = |received| metrics.written(dialect, now.duration_since(received));
            self.receipts.unwritten.written(self.wire.out.written(), note);
        }
        if progress && self.wire.is_proxied {
            self.receipts.proxy.on_write(Instant::now(), self.wire.out.written());
        }
        if self.wire.out.is_empty() {
            self.stalled_since = None;
        } else if progress || self.stalled_since.is_none() {
            self.stalled_since = Some(Instant::now());
        }
    }

    /// The peer reads nothing more. Input that it sent before is still handled within the rate limit, because it cannot know that its
    /// answers are lost. Its name becomes free at once, and unconfirmed events will be shown again.
    fn stop_output(&mut self) {
        self.receipts.unconfirmed = Unconfirmed::default();
        self.receipts.unwritten.forget();
        self.receipts.confirm_at = None;
        self.replay.forget();
        self.input.unread_since.get_or_insert_with(Instant::now);
        self.member.leave();
    }

    /// The deadline for the input of a peer that sends or reads nothing more.
    fn drained_at(&self) -> Option<Instant> {
        let Input { ended_at, unread_since, .. } = &self.input;
        ended_at.iter().chain(unread_since).min().map(|at| *at + DRAIN_WITHIN)
    }

    /// The reason why the session is over, if it is.
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
            || !self.receipts.unconfirmed.is_empty() && !self.wire.is_proxied
            || closing.bye
            || (closing.owes_unread
                && !self.wire.out.is_broken()
                && !self.member.handle.mail().inbox.is_live());
        (!owes || now >= closing.deadline).then_some(closing.why)
    }

    /// The connection exceeds its share of the memory for incomplete input, which is released at once.
    fn refuse_unfinished(&mut self) {
        self.wire.discard_input();
        (self.input.over, self.input.place) = (None, None);
        self.tell(Notice::Unfinished(REFUSAL));
        self.close_with_bye(REFUSAL);
    }

    fn server_stops(&mut self) {
        self.stopping = true;
        self.closing = None;
        self.close_with_bye("the server stops");
    }

    /// Waits until any part of the session can continue; does not wait if there is `room`.
    async fn wait(&mut self, room: bool) -> std::io::Result<()> {
        let (reads, writes) = (self.reads(), !self.wire.out.is_empty());
        // While the output buffer is full, more output is no reason to wake.
        let fills = !self.wire.out.has_enough();
        let wants_page = fills && self.wants_page();
        let wakes_at = self.wakes_at();
        if let Some(at) = wakes_at.filter(|at| *at != self.wake_ups.timer.deadline()) {
            self.wake_ups.timer.as_mut().reset(at);
        }
        // What is only noticed here comes first, so that a busy peer does not delay it; then what is likely. The loop itself looks at all of
        // the rest.
        tokio::select! {
            biased;
            () = self.wake_ups.stops.as_mut(), if !self.stopping => self.server_stops(),
            page = next_page(&mut self.replay.pages), if wants_page => self.take_page(page),
            () = placed(&mut self.input.place), if self.input.place.is_some() => self.input.place = None,
            readable = self.wire.readable(), if reads => readable?,
            // Without this condition a full session would be woken by every event that it cannot send.
            () = self.member.handle.wake.raised(), if fills => {}
            () = self.answers.ready(), if fills && self.opening.is_over() => {}
            () = std::future::ready(()), if room => {}
            writable = self.wire.stream.writable(), if writes => writable?,
            () = self.member.handle.urgent.raised() => {}
            () = changed(&mut self.presence), if fills => {}
            () = self.wire.refused(), if self.closing.is_none() => {}
            () = self.wake_ups.timer.as_mut(), if wakes_at.is_some() => {}
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
        let others = [opening, self.receipts.confirm_at, self.input_wakes_at(), self.challenge.wakes_at()];
        let drained = self.drained_at();
        [closing, stalled, drained].into_iter().chain(others).flatten().min()
    }
}

async fn next_page(pages: &mut Option<Pages>) -> Option<Page> {
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
    // Not subscribed, or the sender was dropped, which lives as long as the server.
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
