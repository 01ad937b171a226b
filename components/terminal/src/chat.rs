//! Drives one user's chat: takes what is typed, heard, answered and shown to the [`Model`], and does what it says.
//!
//! The life of a message said here: typed → kept in the history, where it waits → handed to the connection by the [`Outbox`] →
//! answered by the server → kept as stored. The life of one said by others: heard → kept → shown → its cursor moves.

use std::time::Duration;

use kit::{Exit, Failure};
use protocol::UserName;
use protocol::native::ErrorFrame;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use transport::{Incoming, NativeClient, NativeOptions};

use crate::console::{Console, Happening};
use crate::history::keeper::Keeper;
use crate::input::Typed;
use crate::item::Item;
use crate::json;
use crate::model::{Effect, Model};
use crate::outbox::Outbox;
use crate::pending;
use crate::screen::{Act, Full};

mod act;
mod apply;
mod farewell;

/// How long somebody who leaves waits for what they said to be stored.
const LEAVING: Duration = Duration::from_secs(3);
/// How long a pipe that ended waits for answers from a server that is there.
const ANSWERS: Duration = Duration::from_secs(30);
/// How long a pipe waits for a server that is not: a restarted one is back within a second or two.
const SERVER: Duration = Duration::from_secs(5);
/// How long what is under way may take when the process is told to end.
const SHUTDOWN: Duration = Duration::from_secs(1);
/// What the server says that is taken at once, so that it is kept with one commit.
const BATCH: usize = 128;

/// How a chat ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The user left, or was told to; what there is to say about that.
    Left(Option<String>),
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
    /// The pipe ended; what it asked for is still done, but not for ever by a server that comes and goes.
    EndOfInput { at: Instant, latest: Instant },
    /// The process was told to end.
    Shutdown(Instant),
}

struct Chat<'a> {
    console: &'a mut Console,
    keeper: Keeper,
    model: Model,
    client: NativeClient,
    incoming: mpsc::Receiver<Incoming>,
    outbox: Outbox,
    leaving: Leaving,
    /// Until when a pipe waits for the first connection before it takes its input all the same.
    contact: Instant,
    /// Ctrl-C was pressed, and nothing since.
    interrupted: bool,
    /// Whose conversation was opened last on the screen because lines go there.
    followed: Option<UserName>,
    rejected: Option<Box<ErrorFrame>>,
}

/// Chats until the user leaves, their input ends, `shutdown` is cancelled, or the server will not have them.
pub(crate) async fn chat(
    console: &mut Console,
    keeper: Keeper,
    mut options: NativeOptions,
    server: String,
    shutdown: &CancellationToken,
) -> Result<Ending, Failure> {
    let me = options.name.clone();
    let mut model = Model::new(me.clone(), server);
    options.cursors = keeper.ask(move |history| history.cursors(&me)).await?;
    let waiting = keeper.ask(|history| history.waiting(0, pending::LIMIT)).await?;
    model.waits(&waiting.into_iter().map(|waiting| waiting.send).collect::<Vec<_>>());
    // Closing comes first when we are told to end, so the client has a token of its own.
    let connection = CancellationToken::new();
    let _ends_with_us = connection.clone().drop_guard();
    let (client, incoming) = NativeClient::start(options, connection);
    let mut outbox = Outbox::default();
    outbox.filled();
    let mut chat = Chat {
        console,
        keeper,
        model,
        client,
        incoming,
        outbox,
        leaving: Leaving::No,
        contact: Instant::now() + SERVER,
        interrupted: false,
        followed: None,
        rejected: None,
    };
    chat.begin().await?;
    chat.run(shutdown).await?;
    chat.end().await
}

impl Chat<'_> {
    async fn run(&mut self, shutdown: &CancellationToken) -> Result<(), Failure> {
        while !self.is_done() {
            self.outbox.pump(&self.keeper, &self.client).await?;
            self.look().await?;
            let takes_input = self.takes_input();
            let waits_for_contact =
                !self.console.is_interactive() && !self.model.was_connected() && !self.is_out_of_patience();
            let deadline = self.deadline();
            let effects = tokio::select! {
                () = shutdown.cancelled(), if !matches!(self.leaving, Leaving::Shutdown(_)) => {
                    self.leaving = Leaving::Shutdown(Instant::now() + SHUTDOWN);
                    Vec::new()
                }
                Some(incoming) = self.incoming.recv() => self.heard(incoming),
                happening = self.console.next(takes_input) => match happening {
                    Happening::Typed(typed) => self.all_typed(typed),
                    Happening::Shown => self.shown(),
                },
                Some(answers) = self.outbox.answers() => {
                    answers.into_iter().flat_map(|(id, answer)| self.model.answered(id, answer)).collect()
                }
                trouble = self.keeper.trouble() => vec![Effect::Show(Item::Trouble(trouble))],
                () = tokio::time::sleep_until(self.contact), if waits_for_contact => Vec::new(),
                () = tokio::time::sleep_until(deadline.unwrap_or(self.contact)), if deadline.is_some() => break,
            };
            self.apply(effects).await?;
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        let answered = self.model.unanswered() == 0;
        // What waits is kept, and nobody need wait with it.
        let kept = !self.model.is_connected() && self.keeper.keeps();
        self.rejected.is_some()
            || match self.leaving {
                Leaving::No => false,
                Leaving::User(_) | Leaving::Shutdown(_) => answered || kept,
                Leaving::EndOfInput { .. } => answered && self.model.is_up_to_date(),
            }
    }

    fn deadline(&self) -> Option<Instant> {
        match self.leaving {
            Leaving::No => None,
            Leaving::User(at) | Leaving::EndOfInput { at, .. } | Leaving::Shutdown(at) => Some(at),
        }
    }

    fn is_out_of_patience(&self) -> bool {
        Instant::now() >= self.contact
    }

    /// A pipe's lines are taken once they can be said, so that a name that is refused keeps nothing; and after a while all the
    /// same: then they wait with us.
    fn takes_input(&self) -> bool {
        let reachable = self.model.was_connected() || self.is_out_of_patience();
        let ready = self.console.is_interactive() || (reachable && !self.model.is_full());
        ready && self.leaving == Leaving::No
    }

    /// Shows what is around the messages, on the screen the messages too, loads what is looked at, and notes what was shown: were
    /// that left for later, a client that is killed would show it again.
    async fn look(&mut self) -> Result<(), Failure> {
        self.follow_partner().await?;
        let drawn = self.console.keep_current(&mut self.model, self.leaving != Leaving::No)?;
        if self.console.full().is_some() && !drawn {
            return Ok(());
        }
        let mut effects = self.shown();
        effects.extend(self.console.full().and_then(Full::missing).map(Effect::Do));
        self.apply(effects).await
    }

    fn heard(&mut self, first: Incoming) -> Vec<Effect> {
        let before = self.model.is_connected();
        let mut effects = self.model.heard(first);
        for _ in 1..BATCH {
            let Ok(next) = self.incoming.try_recv() else { break };
            effects.extend(self.model.heard(next));
        }
        // Who waits for a server that is there is more patient.
        if let Leaving::EndOfInput { at, latest } = &mut self.leaving {
            let now = Instant::now();
            match (before, self.model.is_connected()) {
                (false, true) => *at = (now + ANSWERS).min(*latest),
                (true, false) => *at = (now + SERVER).min(*latest),
                (true, true) | (false, false) => {}
            }
        }
        effects
    }

    /// A pipe's lines are taken as they come, so that they are kept with one commit.
    fn all_typed(&mut self, first: Typed) -> Vec<Effect> {
        let mut effects = self.typed(first);
        while self.leaving == Leaving::No && !self.model.is_full() && !effects.contains(&Effect::Leave) {
            let Some(next) = self.console.waiting() else { break };
            effects.extend(self.typed(next));
        }
        effects
    }

    fn typed(&mut self, typed: Typed) -> Vec<Effect> {
        self.console.dealt();
        let again = self.interrupted;
        let interrupt = [Act::Interrupt];
        self.interrupted = match &typed {
            Typed::Interrupt => true,
            // On the screen ctrl-C comes as a key; nothing was pressed in between.
            Typed::Acts(acts) => again && (acts.is_empty() || acts.as_slice() == interrupt),
            Typed::Line(_) | Typed::TooLong | Typed::End | Typed::Failed(_) => false,
        };
        match typed {
            Typed::Line(line) => self.line(&line),
            Typed::TooLong => self.model.wrong("a line is too long for a message; it was skipped".to_owned()),
            Typed::Acts(acts) => acts.into_iter().map(Effect::Do).collect(),
            Typed::Interrupt if again => vec![Effect::Leave],
            Typed::Interrupt => {
                vec![Effect::Show(Item::Hint("ctrl-C once more, or exit, to leave".to_owned()))]
            }
            Typed::End if self.console.is_interactive() => vec![Effect::Leave],
            Typed::End => {
                let patience = if self.model.is_connected() { ANSWERS } else { SERVER };
                let at = Instant::now() + patience;
                // Who waited for a first connection already does not wait again.
                let at = if self.model.was_connected() { at } else { at.min(self.contact) };
                self.leaving = Leaving::EndOfInput { at, latest: Instant::now() + 2 * ANSWERS };
                Vec::new()
            }
            Typed::Failed(error) => {
                let mut effects = self.model.wrong(format!("cannot read what you type: {error}"));
                effects.push(Effect::Leave);
                effects
            }
        }
    }

    fn line(&mut self, line: &str) -> Vec<Effect> {
        if self.console.is_json() && json::is_order(line) {
            return match json::order(line) {
                Ok(send) => self.model.send(send),
                Err(error) => self.model.wrong(error),
            };
        }
        self.model.typed(line)
    }

    fn shown(&mut self) -> Vec<Effect> {
        let places = self.console.shown();
        places.iter().flat_map(|(conversation, seq)| self.model.shown(conversation, *seq)).collect()
    }

    /// Moves the cursors past what was shown, closes the connection, and says how it ended.
    async fn end(mut self) -> Result<Ending, Failure> {
        self.console.flush().await;
        let mut effects = self.shown();
        effects.extend(self.keeper.untold_trouble().map(|trouble| Effect::Show(Item::Trouble(trouble))));
        self.apply(effects).await?;
        self.client.close().await;
        let unanswered = self.model.unanswered();
        let kept = self.keeper.keeps();
        self.keeper.close().await;
        let interactive = self.console.is_interactive();
        let (me, server) = (self.model.me(), self.model.server());
        let waiting = farewell::unanswered(unanswered, kept, me, server);
        if let Some(error) = self.rejected {
            if unanswered > 0 {
                self.console.show(Item::Error(waiting), self.model.me()).await?;
            }
            return Ok(Ending::Rejected(error));
        }
        if !self.model.was_connected() && !interactive {
            return Err(Failure::new(Exit::Unavailable, farewell::nobody(server, &waiting)));
        }
        if unanswered > 0 && interactive && kept {
            return Ok(Ending::Left(Some(waiting)));
        }
        if unanswered > 0 {
            return Err(Failure::new(Exit::Failure, waiting));
        }
        match self.model.failures() {
            failures @ 1.. if !interactive => Err(Failure::new(Exit::Failure, farewell::failed(failures))),
            _ => Ok(Ending::Left(None)),
        }
    }
}
