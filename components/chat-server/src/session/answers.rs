//! The answers to a session's requests, in the order of the requests.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::backend::page_budget::PagePermit;
use crate::outcome::{Outcome, SentMessage};

/// Requests in flight for one session.
const WINDOW: usize = 64;

/// Answers, some of which are pending.
///
/// Bound: [`WINDOW`], and one that is looked up, such as a page of history. Overflow rule: while [`Answers::is_full`], nothing more is read
/// from the peer.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    queue: VecDeque<Slot>,
    pending: usize,
}

/// A completed answer.
#[derive(Debug)]
pub(crate) enum Answer {
    Bytes(Bytes),
    /// Bytes whose number does not depend on the request's size, with their share of the page budget.
    Page(Bytes, PagePermit),
    /// The outcome of a message.
    Outcome(SentMessage, Outcome),
}

#[derive(Debug)]
enum Slot {
    Here(Answer),
    Message(SentMessage, oneshot::Receiver<Outcome>),
    /// A lookup, one at a time.
    Pending(oneshot::Receiver<Answer>),
    /// The lookup was given up: there is no answer.
    Nothing,
}

impl Answers {
    /// Queues an answer.
    pub(crate) fn bytes(&mut self, bytes: Bytes) {
        self.queue.push_back(Slot::Here(Answer::Bytes(bytes)));
    }

    /// Queues the answer to a message, whose outcome is pending.
    pub(crate) fn message(&mut self, sent: SentMessage, outcome: oneshot::Receiver<Outcome>) {
        self.queue.push_back(Slot::Message(sent, outcome));
    }

    /// Queues an answer that must be looked up first.
    pub(crate) fn pending(&mut self, answer: oneshot::Receiver<Answer>) {
        self.pending += 1;
        self.queue.push_back(Slot::Pending(answer));
    }

    /// Whether no more requests should be taken now.
    pub(crate) fn is_full(&self) -> bool {
        self.queue.len() >= WINDOW || self.pending > 0
    }

    /// Whether a lookup is pending.
    pub(crate) fn looks_up(&self) -> bool {
        self.pending > 0
    }

    /// Whether everything is answered.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Waits for the next answer; forever if there is none. Cancel-safe.
    pub(crate) async fn ready(&mut self) {
        poll_fn(|context| {
            let Some(slot) = self.queue.front_mut() else { return Poll::Pending };
            let arrived = match slot {
                Slot::Here(_) | Slot::Nothing => return Poll::Ready(()),
                Slot::Message(_, outcome) => match Pin::new(outcome).poll(context) {
                    Poll::Pending => return Poll::Pending,
                    // The appender dropped the message: its outcome is unknown.
                    Poll::Ready(outcome) => Some(outcome.unwrap_or(Outcome::Unknown)),
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
            if let (Some(outcome), Slot::Message(sent, _)) = (arrived, &*slot) {
                *slot = Slot::Here(Answer::Outcome(sent.clone(), outcome));
            }
            Poll::Ready(())
        })
        .await;
    }

    /// The next answer, if it is complete.
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
        let sent = SentMessage::new(
            name("bob"),
            &Draft::chat(name("alice"), &name("bob"), Body::parse("hi").unwrap()),
        );
        let (outcome, receiver) = oneshot::channel();
        answers.message(sent.clone(), receiver);
        answers.bytes(Bytes::from_static(b"later"));
        assert!(answers.take().is_none());
        outcome.send(Outcome::Unknown).unwrap();
        answers.ready().await;
        assert!(matches!(answers.take(), Some(Answer::Outcome(of, Outcome::Unknown)) if of == sent));
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
