//! Everything that is printed goes through one thread: a stalled terminal or pipe never holds up the connection's upkeep.
//!
//! The life of a line: [`Output::print`] queues it → the thread writes it → where it was a message, [`Output::shown`] tells that
//! its conversation was shown so far.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};

use protocol::ConversationId;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::gate::{Gate, Way};
use crate::transcript::Stream;

/// Lines not written yet. Overflow rule: whoever prints waits, so the server is not read from, and it feeds us from its store. As many
/// may be written and not yet noted as shown when the client is killed, so they are few.
const QUEUE: usize = 64;

/// Nobody reads what we print any more.
#[derive(Debug, thiserror::Error)]
#[error("the output is closed")]
pub(crate) struct OutputClosed;

/// A message's place: where it was shown up to.
pub(crate) type Place = (ConversationId, u64);

/// How a thread prints beside a line being edited.
pub(crate) type Beside = Box<dyn FnMut(String) -> std::io::Result<()> + Send>;

enum Order {
    Print { stream: Stream, text: String, place: Option<Place> },
    Flush(oneshot::Sender<()>),
}

/// Where lines are printed.
#[derive(Debug)]
pub(crate) struct Output {
    orders: mpsc::Sender<Order>,
    shown: Arc<Shown>,
}

/// What was shown and not asked for yet: one entry a conversation.
#[derive(Debug, Default)]
struct Shown {
    places: Mutex<BTreeMap<ConversationId, u64>>,
    news: Notify,
}

impl Output {
    /// To standard output and standard error.
    pub(crate) fn plain() -> std::io::Result<Self> {
        Self::start(|stream, text| match stream {
            Stream::Out => write_to(std::io::stdout(), &text),
            Stream::Err => {
                // Nobody listening to what is said about the messages is no reason to stop delivering them.
                let _ = write_to(std::io::stderr(), &text);
                Ok(())
            }
        })
    }

    /// To a terminal on which a line may be being edited.
    pub(crate) fn beside(gate: Arc<Gate>, mut beside: Option<Beside>) -> std::io::Result<Self> {
        Self::start(move |_, text| match (gate.way(), &mut beside) {
            (Way::Beside, Some(beside)) => beside(text),
            (Way::Beside, None) => write_to(std::io::stdout(), &text),
            (Way::Directly(held), _) => {
                let written = write_to(std::io::stdout(), &text);
                drop(held);
                written
            }
        })
    }

    fn start(
        write: impl FnMut(Stream, String) -> std::io::Result<()> + Send + 'static,
    ) -> std::io::Result<Self> {
        let (orders, queue) = mpsc::channel(QUEUE);
        let shown = Arc::<Shown>::default();
        let thread = std::thread::Builder::new().name("output".to_owned());
        thread.spawn({
            let shown = Arc::clone(&shown);
            move || work(queue, write, &shown)
        })?;
        Ok(Self { orders, shown })
    }

    /// Prints some lines, and notes a place as shown once that is done.
    pub(crate) async fn print(
        &self,
        stream: Stream,
        text: String,
        place: Option<Place>,
    ) -> Result<(), OutputClosed> {
        self.orders.send(Order::Print { stream, text, place }).await.map_err(|_| OutputClosed)
    }

    /// Waits until all that was printed is written.
    pub(crate) async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.orders.send(Order::Flush(done)).await.is_ok() {
            let _ = written.await;
        }
    }

    /// Waits until something was shown. Cancel-safe.
    pub(crate) async fn news(&self) {
        self.shown.news.notified().await;
    }

    /// What was shown since it was last asked.
    pub(crate) fn shown(&self) -> Vec<Place> {
        let mut places = self.shown.places.lock().expect("nobody panics while holding this lock");
        std::mem::take(&mut *places).into_iter().collect()
    }
}

fn work(
    mut queue: mpsc::Receiver<Order>,
    mut write: impl FnMut(Stream, String) -> std::io::Result<()>,
    shown: &Shown,
) {
    while let Some(order) = queue.blocking_recv() {
        match order {
            Order::Flush(done) => drop(done),
            Order::Print { stream, text, place } => {
                if let Err(error) = write(stream, text) {
                    tracing::debug!(%error, "the output is closed");
                    return;
                }
                if let Some((conversation, seq)) = place {
                    let mut places = shown.places.lock().expect("nobody panics while holding this lock");
                    let entry = places.entry(conversation).or_default();
                    *entry = seq.max(*entry);
                    shown.news.notify_one();
                }
            }
        }
    }
}

/// Leaves a line that was being edited: pasting works as before, and what comes next starts on a row of its own.
pub(crate) fn leave_line() {
    // A terminal that is gone needs no care.
    let _ = write_to(std::io::stdout(), "\u{1b}[?2004l\n");
}

fn write_to(mut stream: impl Write, text: &str) -> std::io::Result<()> {
    stream.write_all(text.as_bytes())?;
    stream.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(seq: u64) -> Place {
        (ConversationId::parse("dm:alice:bob").unwrap(), seq)
    }

    #[tokio::test]
    async fn a_message_counts_as_shown_once_it_is_written() {
        let written = Arc::new(Mutex::new(String::new()));
        let output = Output::start({
            let written = Arc::clone(&written);
            move |_, text| {
                written.lock().unwrap().push_str(&text);
                Ok(())
            }
        })
        .unwrap();
        for seq in [1, 2] {
            output.print(Stream::Out, format!("{seq}\n"), Some(place(seq))).await.unwrap();
        }
        output.news().await;
        output.flush().await;
        assert_eq!(written.lock().unwrap().as_str(), "1\n2\n");
        assert_eq!(output.shown(), [place(2)]);
        assert_eq!(output.shown(), []);
    }

    #[tokio::test]
    async fn what_cannot_be_written_was_not_shown() {
        let output = Output::start(|_, _| Err(std::io::ErrorKind::BrokenPipe.into())).unwrap();
        output.print(Stream::Out, "x\n".to_owned(), Some(place(1))).await.unwrap();
        output.flush().await;
        assert_eq!(output.shown(), []);
        assert!(output.print(Stream::Out, "y\n".to_owned(), None).await.is_err());
    }
}
