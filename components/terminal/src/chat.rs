//! Drives one user's chat: takes what is typed, heard, answered and shown to the [`Model`], and does what it says.

use std::collections::VecDeque;
use std::time::Duration;

use kit::{Exit, Failure};
use protocol::ClientId;
use protocol::native::{Ack, ErrorFrame};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use transport::{Incoming, NativeClient, NativeOptions, SendError};

use crate::console::Console;
use crate::input::Typed;
use crate::item::Item;
use crate::model::{Effect, Model};

/// How long somebody who leaves waits for what they said to be stored.
const LEAVING: Duration = Duration::from_secs(3);
/// How long a pipe that ended waits for answers from a server that is there.
const ANSWERS: Duration = Duration::from_secs(30);
/// How long a pipe waits for a server that is not: a restarted one is back within a second or two.
const SERVER: Duration = Duration::from_secs(5);
/// How long what is under way may take when the process is told to end.
const SHUTDOWN: Duration = Duration::from_secs(1);

/// How a chat ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The user left, or was told to.
    Left,
    /// The server will not have this name.
    Rejected(Box<ErrorFrame>),
}

/// Why, and until when, the end is near.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaving {
    /// Not at all.
    No,
    /// The user said so.
    User(Instant),
    /// The pipe ended; what it asked for is still done.
    EndOfInput(Instant),
    /// The process was told to end.
    Shutdown(Instant),
}

struct Chat<'a> {
    console: &'a mut Console,
    model: Model,
    client: NativeClient,
    incoming: mpsc::Receiver<Incoming>,
    /// One for each message without an answer, so at most [`LIMIT`](crate::pending::LIMIT).
    answers: JoinSet<(ClientId, Result<Ack, SendError>)>,
    leaving: Leaving,
    /// Ctrl-C was pressed, and nothing since.
    interrupted: bool,
    prompted: bool,
    rejected: Option<Box<ErrorFrame>>,
}

/// Chats until the user leaves, their input ends, `shutdown` is cancelled, or the server will not have them.
pub(crate) async fn chat(
    console: &mut Console,
    options: NativeOptions,
    server: String,
    shutdown: &CancellationToken,
) -> Result<Ending, Failure> {
    let model = Model::new(options.name.clone(), server);
    // Closing comes first when we are told to end, so the client has a token of its own.
    let connection = CancellationToken::new();
    let _ends_with_us = connection.clone().drop_guard();
    let (client, incoming) = NativeClient::start(options, connection);
    let leaving = Leaving::No;
    let mut chat = Chat {
        console,
        model,
        client,
        incoming,
        answers: JoinSet::new(),
        leaving,
        interrupted: false,
        prompted: false,
        rejected: None,
    };
    chat.run(shutdown).await?;
    chat.end().await
}

impl Chat<'_> {
    async fn run(&mut self, shutdown: &CancellationToken) -> Result<(), Failure> {
        let contact = Instant::now() + SERVER;
        while !self.is_done() {
            self.keep_current();
            let takes_input = self.takes_input();
            let waits_for_contact = !self.console.is_interactive() && !self.model.was_connected();
            let deadline = self.deadline();
            let effects = tokio::select! {
                () = shutdown.cancelled(), if !matches!(self.leaving, Leaving::Shutdown(_)) => {
                    self.leaving = Leaving::Shutdown(Instant::now() + SHUTDOWN);
                    Vec::new()
                }
                Some(incoming) = self.incoming.recv() => self.heard(incoming),
                typed = self.console.input.next(), if takes_input => self.typed(typed),
                Some(answer) = self.answers.join_next() => {
                    let (id, answer) = answer.expect("a task that waits for an answer does not panic");
                    self.model.answered(&id, answer)
                }
                () = self.console.output.news() => self.shown(),
                () = tokio::time::sleep_until(contact), if waits_for_contact => break,
                () = tokio::time::sleep_until(deadline.unwrap_or(contact)), if deadline.is_some() => break,
            };
            self.apply(effects).await?;
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        let answered = self.model.unanswered() == 0;
        self.rejected.is_some()
            || match self.leaving {
                Leaving::No => false,
                Leaving::User(_) | Leaving::Shutdown(_) => answered,
                Leaving::EndOfInput(_) => answered && self.model.is_up_to_date(),
            }
    }

    fn deadline(&self) -> Option<Instant> {
        match self.leaving {
            Leaving::No => None,
            Leaving::User(at) | Leaving::EndOfInput(at) | Leaving::Shutdown(at) => Some(at),
        }
    }

    /// A pipe's lines are taken once they can be said, so that none is lost with a name that is refused.
    fn takes_input(&self) -> bool {
        let ready = self.console.is_interactive() || (self.model.was_connected() && !self.model.is_full());
        ready && self.leaving == Leaving::No
    }

    /// Keeps the editor's prompt and completions as they should be. The first prompt waits until there is something to say
    /// about the connection, for a refused name asks another question.
    fn keep_current(&mut self) {
        if let Some(names) = self.model.take_names() {
            self.console.names.set(names);
        }
        if !self.prompted && self.model.has_tried() && self.leaving == Leaving::No {
            self.prompted = true;
            let prompt =
                self.model.partner().map_or_else(|| "> ".to_owned(), |partner| format!("→ {partner} "));
            self.console.input.prompt(prompt, true);
        }
    }

    fn heard(&mut self, incoming: Incoming) -> Vec<Effect> {
        let before = self.model.is_connected();
        let effects = self.model.heard(incoming);
        // Who waits for a server that is there is more patient.
        let now = Instant::now();
        match (self.leaving, before, self.model.is_connected()) {
            (Leaving::EndOfInput(_), false, true) => self.leaving = Leaving::EndOfInput(now + ANSWERS),
            (Leaving::EndOfInput(_), true, false) => self.leaving = Leaving::EndOfInput(now + SERVER),
            (Leaving::No | Leaving::User(_) | Leaving::EndOfInput(_) | Leaving::Shutdown(_), _, _) => {}
        }
        effects
    }

    fn typed(&mut self, typed: Typed) -> Vec<Effect> {
        self.prompted = false;
        let again = self.interrupted;
        self.interrupted = typed == Typed::Interrupt;
        match typed {
            Typed::Line(line) => self.model.typed(&line),
            Typed::TooLong => self.model.wrong("a line is too long for a message; it was skipped".to_owned()),
            Typed::Interrupt if again => vec![Effect::Leave],
            Typed::Interrupt => {
                vec![Effect::Show(Item::Hint("ctrl-C once more, or exit, to leave".to_owned()))]
            }
            Typed::End if self.console.is_interactive() => vec![Effect::Leave],
            Typed::End => {
                let patience = if self.model.is_connected() { ANSWERS } else { SERVER };
                self.leaving = Leaving::EndOfInput(Instant::now() + patience);
                Vec::new()
            }
            Typed::Failed(error) => {
                let mut effects = self.model.wrong(format!("cannot read what you type: {error}"));
                effects.push(Effect::Leave);
                effects
            }
        }
    }

    fn shown(&mut self) -> Vec<Effect> {
        let places = self.console.output.shown();
        places.iter().flat_map(|(conversation, seq)| self.model.shown(conversation, *seq)).collect()
    }

    async fn apply(&mut self, effects: Vec<Effect>) -> Result<(), Failure> {
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Show(item) => self.console.show(item, self.model.me()).await?,
                Effect::Send(send) => {
                    let id = send.client_id.clone();
                    match self.client.submit(send).await {
                        Ok(answer) => {
                            self.answers
                                .spawn(async move { (id, answer.await.unwrap_or(Err(SendError::Ended))) });
                        }
                        Err(error) => effects.extend(self.model.answered(&id, Err(error))),
                    }
                }
                Effect::Ask(frame) => self.client.frame(frame).await,
                Effect::Seen(conversation, seq) => self.client.seen(conversation, seq).await,
                Effect::Leave => self.leave().await?,
                Effect::Rejected(error) => self.rejected = Some(error),
            }
        }
        Ok(())
    }

    async fn leave(&mut self) -> Result<(), Failure> {
        self.leaving = Leaving::User(Instant::now() + LEAVING);
        self.console.input.finish();
        let unanswered = self.model.unanswered();
        if unanswered > 0 {
            let text = format!("waiting for {} to be saved", messages(unanswered));
            self.console.show(Item::Notice(text), self.model.me()).await?;
        }
        Ok(())
    }

    /// Moves the cursors past what was shown, closes the connection, and says how it ended.
    async fn end(mut self) -> Result<Ending, Failure> {
        self.console.output.flush().await;
        let effects = self.shown();
        self.apply(effects).await?;
        self.client.close().await;
        let unanswered = self.model.unanswered();
        if let Some(error) = self.rejected {
            if unanswered > 0 {
                let text = format!("{} not sent", messages(unanswered));
                self.console.show(Item::Error(text), self.model.me()).await?;
            }
            return Ok(Ending::Rejected(error));
        }
        if !self.model.was_connected() && !self.console.is_interactive() {
            return Err(Failure::new(Exit::Unavailable, "no chat server answers; nothing was sent"));
        }
        if unanswered > 0 {
            let text = format!("{} got no answer and may not be saved", messages(unanswered));
            return Err(Failure::new(Exit::Failure, text));
        }
        match self.model.failures() {
            failures @ 1.. if !self.console.is_interactive() => Err(Failure::new(
                Exit::Failure,
                format!("not everything worked: {failures} errors, see above"),
            )),
            _ => Ok(Ending::Left),
        }
    }
}

fn messages(count: usize) -> String {
    if count == 1 { "one message".to_owned() } else { format!("{count} messages") }
}
