//! What a session's requests are answered with, in the order they were asked.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::backend::room::Kept;
use crate::outcome::{Outcome, Said};

/// Requests that may be under way for one session.
const WINDOW: usize = 64;

/// Answers, some of which are still on their way.
///
/// Bound: [`WINDOW`], and one that is looked up, such as a page of history. Overflow rule: while [`Answers::is_full`], nothing more is read from the peer.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    queue: VecDeque<Slot>,
    pending: usize,
}

/// An answer that is there.
#[derive(Debug)]
pub(crate) enum Answer {
    /// These bytes.
    Bytes(Bytes),
    /// These bytes, of which there may be many however short the question was, and what they take of the room for pages.
    Page(Bytes, Kept),
    /// What became of a message.
    Outcome(Said, Outcome),
}

#[derive(Debug)]
enum Slot {
    Here(Answer),
    Message(Said, oneshot::Receiver<Outcome>),
    /// Something that is looked up first, one at a time.
    Pending(oneshot::Receiver<Answer>),
    /// It was given up by whoever looked it up: it is not answered.
    Nothing,
}

impl Answers {
    /// Answers with these bytes.
    pub(crate) fn bytes(&mut self, bytes: Bytes) {
        self.queue.push_back(Slot::Here(Answer::Bytes(bytes)));
    }

    /// Answers with what becomes of a message.
    pub(crate) fn message(&mut self, said: Said, outcome: oneshot::Receiver<Outcome>) {
        self.queue.push_back(Slot::Message(said, outcome));
    }

    /// Answers with something that must be looked up first.
    pub(crate) fn pending(&mut self, answer: oneshot::Receiver<Answer>) {
        self.pending += 1;
        self.queue.push_back(Slot::Pending(answer));
    }

    /// Whether no more should be asked for now.
    pub(crate) fn is_full(&self) -> bool {
        self.queue.len() >= WINDOW || self.pending > 0
    }

    /// Whether something is looked up.
    pub(crate) fn looks_up(&self) -> bool {
        self.pending > 0
    }

    /// Whether everything is answered.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Waits until the next answer is there; for ever if there is none to come. Cancel-safe.
    pub(crate) async fn ready(&mut self) {
        poll_fn(|context| {
            let Some(slot) = self.queue.front_mut() else { return Poll::Pending };
            let arrived = match slot {
                Slot::Here(_) | Slot::Nothing => return Poll::Ready(()),
                Slot::Message(_, outcome) => match Pin::new(outcome).poll(context) {
                    Poll::Pending => return Poll::Pending,
                    // The appender ended with the message: nobody knows.
                    Poll::Ready(outcome) => Some(outcome.unwrap_or(Outcome::Later)),
                },
                Slot::Pending(answer) => match Pin::new(answer).poll(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(answer) => {
                        *slot = answer.map_or(Slot::Nothing, Slot::Here);
                        self.pending -= 1;
                        return Poll::Ready(());
                    }
                },
            };
            if let (Some(outcome), Slot::Message(said, _)) = (arrived, &*slot) {
                *slot = Slot::Here(Answer::Outcome(said.clone(), outcome));
            }
            Poll::Ready(())
        })
        .await;
    }

    /// The next answer, if it is there.
    pub(crate) fn take(&mut self) -> Option<Answer> {
        use futures_util::FutureExt;
        self.ready().now_or_never()?;
        match self.queue.pop_front() {
            Some(Slot::Here(answer)) => {
                if self.queue.is_empty() {
                    self.queue = VecDeque::new();
                }
                Some(answer)
            }
            Some(Slot::Nothing) => self.take(),
            Some(Slot::Message(..) | Slot::Pending(_)) | None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{Body, Draft, UserName};

    #[tokio::test]
    async fn answers_come_in_the_order_of_the_questions() {
        let mut answers = Answers::default();
        let name = |text| UserName::parse(text).unwrap();
        let said =
            Said::new(name("bob"), &Draft::chat(name("alice"), &name("bob"), Body::parse("hi").unwrap()));
        let (outcome, receiver) = oneshot::channel();
        answers.message(said.clone(), receiver);
        answers.bytes(Bytes::from_static(b"later"));
        assert!(answers.take().is_none());
        outcome.send(Outcome::Later).unwrap();
        answers.ready().await;
        assert!(matches!(answers.take(), Some(Answer::Outcome(of, Outcome::Later)) if of == said));
        assert!(matches!(answers.take(), Some(Answer::Bytes(bytes)) if bytes == "later"));
        assert!(answers.take().is_none() && answers.is_empty());
    }

    #[tokio::test]
    async fn one_thing_at_a_time_is_looked_up_and_one_given_up_is_passed_over() {
        let mut answers = Answers::default();
        let (page, receiver) = oneshot::channel();
        answers.pending(receiver);
        assert!(answers.is_full());
        drop(page);
        answers.bytes(Bytes::from_static(b"next"));
        answers.ready().await;
        assert!(!answers.is_full());
        assert!(matches!(answers.take(), Some(Answer::Bytes(bytes)) if bytes == "next"));
    }
}
