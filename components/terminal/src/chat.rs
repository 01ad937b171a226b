//! Drives one user's chat: passes input, server frames, answers and display progress to the [`Model`], and executes its effects.
//!
//! The life of an outgoing message: typed → saved in the history as waiting → passed to the connection by the [`Outbox`] → answered by the
//! server → saved as stored. The life of an incoming one: received → saved → shown → its cursor advances.

use std::time::Duration;

use kit::{Exit, Failure};
use protocol::UserName;
use protocol::native::ErrorFrame;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use transport::{Incoming, NativeClient, NativeOptions};

use crate::console::Console;
use crate::history::keeper::Keeper;
use crate::item::Item;
use crate::json;
use crate::model::{Effect, Model};
use crate::outbox::Outbox;
use crate::pending;
use crate::screen::Full;
use crate::typed::{Act, Happening, Typed};

mod act;
mod apply;
mod farewell;
mod leaving;
mod remainder;

use leaving::{Leaving, SERVER};
use remainder::Remainder;

/// Most server frames processed at once, so that one commit saves them.
const BATCH: usize = 128;
/// How long the server may take to answer the login before the user is told.
const GREETING: Duration = Duration::from_millis(800);
/// Above this number of messages, sending takes noticeable time: the server's default limit is a burst of this many and 20 per second
/// sustained.
const MANY: usize = 100;

/// How a chat ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The user left, or the process was stopped; with a final text, if any.
    Left(Option<String>),
    /// The server rejected this name.
    Rejected(Box<ErrorFrame>),
}

struct Chat<'a> {
    console: &'a mut Console,
    keeper: Keeper,
    model: Model,
    client: NativeClient,
    incoming: mpsc::Receiver<Incoming>,
    outbox: Outbox,
    leaving: Leaving,
    /// The rest of a pipe's input after `exit`.
    remainder: Option<Remainder>,
    /// Until when a pipe waits for the first connection before its input is read anyway.
    contact: Instant,
    /// When to tell the user that there is no connection yet.
    late: Instant,
    /// Ctrl-C was the last key pressed.
    interrupted: bool,
    /// The partner whose conversation was last opened automatically.
    followed: Option<UserName>,
    rejected: Option<Box<ErrorFrame>>,
}

/// Chats until the user leaves, the input ends, `shutdown` is cancelled, or the server rejects the user.
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
    options.log = keeper.ask(|history| history.log()).await?;
    let waiting = keeper.ask(|history| history.waiting(0, pending::LIMIT)).await?;
    model.waits(&waiting.into_iter().map(|waiting| waiting.send).collect::<Vec<_>>());
    // A separate token, because at shutdown the connection is first closed in good order.
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
        remainder: None,
        contact: Instant::now() + SERVER,
        late: Instant::now() + GREETING,
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
            let deadline = self.leaving.deadline();
            let more_input = self.more_input();
            let effects = tokio::select! {
                () = shutdown.cancelled(), if !matches!(self.leaving, Leaving::Shutdown(_)) => {
                    self.leaving = Leaving::shutdown(Instant::now());
                    Vec::new()
                }
                Some(incoming) = self.incoming.recv() => self.receive(incoming),
                happening = self.console.next(takes_input) => match happening {
                    Happening::Typed(typed) => self.all_typed(typed),
                    Happening::Shown => self.shown(),
                },
                Some(answers) = self.outbox.answers() => {
                    self.leaving.answered(Instant::now());
                    answers.into_iter().flat_map(|(id, answer)| self.model.answered(id, answer)).collect()
                }
                trouble = self.keeper.trouble() => vec![Effect::Show(Item::Trouble(trouble))],
                () = tokio::time::sleep_until(self.late), if !self.model.has_tried() => self.model.late(),
                () = tokio::time::sleep_until(self.contact), if waits_for_contact => Vec::new(),
                () = tokio::time::sleep_until(more_input.unwrap_or(self.contact)), if more_input.is_some() => Vec::new(),
                () = tokio::time::sleep_until(deadline.unwrap_or(self.contact)), if deadline.is_some() => break,
            };
            self.apply(effects).await?;
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        let answered = self.model.unanswered() == 0;
        // Waiting messages are saved, so there is no need to wait for them.
        let kept = !self.model.is_connected() && self.keeper.keeps();
        self.rejected.is_some()
            || match self.leaving {
                Leaving::No => false,
                Leaving::User(_) | Leaving::Shutdown(_) => answered || kept,
                Leaving::EndOfInput { .. } => {
                    answered && self.model.is_up_to_date() && self.more_input().is_none()
                }
            }
    }

    fn is_out_of_patience(&self) -> bool {
        Instant::now() >= self.contact
    }

    /// A pipe's lines are read once connected, so that a rejected name saves nothing; after a while they are read anyway and wait in the
    /// history.
    fn takes_input(&self) -> bool {
        let reachable = self.model.was_connected() || self.is_out_of_patience();
        let ready = self.console.is_interactive() || (reachable && !self.model.is_full());
        ready && self.leaving == Leaving::No || self.more_input().is_some()
    }

    /// Until when a pipe is read after `exit`.
    fn more_input(&self) -> Option<Instant> {
        self.remainder.as_ref()?.deadline(Instant::now())
    }

    /// Updates the display, loads what is needed for it, and records what was shown at once: otherwise a killed client would show it again.
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

    fn receive(&mut self, first: Incoming) -> Vec<Effect> {
        let before = self.model.is_connected();
        let mut effects = self.model.receive(first);
        for _ in 1..BATCH {
            let Ok(next) = self.incoming.try_recv() else { break };
            effects.extend(self.model.receive(next));
        }
        self.leaving.connection(Instant::now(), before, self.model.is_connected());
        effects
    }

    /// Reads all available lines of a pipe, so that one commit saves them.
    fn all_typed(&mut self, first: Typed) -> Vec<Effect> {
        let mut effects = self.typed(first);
        while self.leaving == Leaving::No && !self.model.is_full() && !effects.contains(&Effect::Leave) {
            let Some(next) = self.console.waiting() else { break };
            effects.extend(self.typed(next));
        }
        effects
    }

    fn typed(&mut self, typed: Typed) -> Vec<Effect> {
        if let Some(remainder) = &mut self.remainder {
            remainder.typed(&typed);
            return Vec::new();
        }
        self.console.dealt();
        let again = self.interrupted;
        let interrupt = [Act::Interrupt];
        self.interrupted = match &typed {
            Typed::Interrupt => true,
            // On the full screen ctrl-C arrives as a key; no other key was pressed in between.
            Typed::Acts(acts) => again && (acts.is_empty() || acts.as_slice() == interrupt),
            Typed::Line(_) | Typed::TooLong | Typed::End | Typed::Failed(_) => false,
        };
        match typed {
            Typed::Line(line) => self.line(&line),
            Typed::TooLong => self.model.wrong("line skipped: too long for a message".to_owned()),
            Typed::Acts(acts) => acts.into_iter().map(Effect::Do).collect(),
            Typed::Interrupt if again => vec![Effect::Leave],
            Typed::Interrupt => {
                vec![Effect::Show(Item::Hint("press ctrl-C again, or type exit, to leave".to_owned()))]
            }
            Typed::End if self.console.is_interactive() => vec![Effect::Leave],
            Typed::End => self.no_more_input(),
            Typed::Failed(error) => {
                let mut effects = self.model.wrong(format!("cannot read the input: {error}"));
                effects.push(Effect::Leave);
                effects
            }
        }
    }

    /// A pipe has ended: its lines are still processed.
    fn no_more_input(&mut self) -> Vec<Effect> {
        let contact = (!self.model.was_connected()).then_some(self.contact);
        self.leaving = Leaving::end_of_input(Instant::now(), self.model.is_connected(), contact);
        self.many_wait()
    }

    /// Tells the user if so many messages wait that sending takes a while.
    fn many_wait(&self) -> Vec<Effect> {
        let unanswered = self.model.unanswered();
        let notice = Item::Notice(format!("{} to be saved", farewell::wait(unanswered)));
        if unanswered > MANY && self.model.is_connected() { vec![Effect::Show(notice)] } else { Vec::new() }
    }

    fn line(&mut self, line: &str) -> Vec<Effect> {
        if self.console.is_json() && json::is_request(line) {
            return match json::parse_request(line) {
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

    /// Moves the cursors past the shown messages, closes the connection, and returns how the chat ended.
    async fn end(mut self) -> Result<Ending, Failure> {
        self.console.flush().await;
        let mut effects = self.shown();
        effects.extend(self.keeper.take_trouble().map(|trouble| Effect::Show(Item::Trouble(trouble))));
        self.apply(effects).await?;
        // The process may exit before the output thread has written the rest.
        self.console.flush().await;
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
                self.console.flush().await;
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
        if let Some(complaint) = self.remainder.as_ref().and_then(Remainder::complaint) {
            return Err(Failure::new(Exit::Failure, complaint));
        }
        match self.model.failures() {
            failures @ 1.. if !interactive => Err(Failure::new(Exit::Failure, farewell::failed(failures))),
            _ => Ok(Ending::Left(None)),
        }
    }
}
