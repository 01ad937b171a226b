//! All output goes through one thread, so that a stalled terminal or pipe never blocks the connection.
//!
//! The life of a line: [`Output::print`] queues it → the thread writes it → if it was a message, [`Output::shown`] reports its conversation
//! as shown up to it.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};

use protocol::ConversationId;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::gate::{Gate, PrintMode};
use crate::transcript::Stream;

/// Most lines not written yet. Overflow rule: the caller waits, so the server is not read from, and it reads from its store later. Small,
/// because lines written but not recorded as shown are shown again after a kill.
const QUEUE: usize = 64;

/// The reader of our output has gone.
#[derive(Debug, thiserror::Error)]
#[error("the output is closed")]
pub(crate) struct OutputClosed;

/// A position up to which a conversation was shown.
pub(crate) type Place = (ConversationId, u64);

/// How a thread prints beside a line being edited.
pub(crate) type Beside = Box<dyn FnMut(String) -> std::io::Result<()> + Send>;

enum Request {
    Print { stream: Stream, text: String, place: Option<Place> },
    Flush(oneshot::Sender<()>),
}

/// Where lines are printed.
#[derive(Debug)]
pub(crate) struct Output {
    requests: mpsc::Sender<Request>,
    shown: Arc<Shown>,
}

/// Shown positions not yet collected: one entry per conversation.
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
                // A closed standard error must not stop the delivery of messages.
                let _ = write_to(std::io::stderr(), &text);
                Ok(())
            }
        })
    }

    /// Output to a terminal with a line editor.
    pub(crate) fn beside(gate: Arc<Gate>, mut beside: Option<Beside>) -> std::io::Result<Self> {
        Self::start(move |_, text| match (gate.print_mode(), &mut beside) {
            (PrintMode::Beside, Some(beside)) => beside(text),
            (PrintMode::Beside, None) => write_to(std::io::stdout(), &text),
            (PrintMode::Directly(held), _) => {
                let written = write_to(std::io::stdout(), &text);
                drop(held);
                written
            }
        })
    }

    fn start(
        write: impl FnMut(Stream, String) -> std::io::Result<()> + Send + 'static,
    ) -> std::io::Result<Self> {
        let (requests, queue) = mpsc::channel(QUEUE);
        let shown = Arc::<Shown>::default();
        let thread = std::thread::Builder::new().name("output".to_owned());
        thread.spawn({
            let shown = Arc::clone(&shown);
            move || work(queue, write, &shown)
        })?;
        Ok(Self { requests, shown })
    }

    /// Prints lines, and records a position as shown once they are written.
    pub(crate) async fn print(
        &self,
        stream: Stream,
        text: String,
        place: Option<Place>,
    ) -> Result<(), OutputClosed> {
        self.requests.send(Request::Print { stream, text, place }).await.map_err(|_| OutputClosed)
    }

    /// Waits until all that was printed is written.
    pub(crate) async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.requests.send(Request::Flush(done)).await.is_ok() {
            let _ = written.await;
        }
    }

    /// Waits until something was shown. Cancel-safe.
    pub(crate) async fn news(&self) {
        self.shown.news.notified().await;
    }

    /// The positions shown since the last call.
    pub(crate) fn shown(&self) -> Vec<Place> {
        let mut places = self.shown.places.lock().expect("nobody panics while holding this lock");
        std::mem::take(&mut *places).into_iter().collect()
    }
}

fn work(
    mut queue: mpsc::Receiver<Request>,
    mut write: impl FnMut(Stream, String) -> std::io::Result<()>,
    shown: &Shown,
) {
    while let Some(order) = queue.blocking_recv() {
        match order {
            Request::Flush(done) => drop(done),
            Request::Print { stream, text, place } => {
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

/// Leaves the line being edited: ends bracketed paste and starts a new row.
pub(crate) fn leave_line() {
    // Errors of a closed terminal are ignored.
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
