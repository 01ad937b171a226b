//! The bot at work.
//!
//! The life of a question: taken from the service → its user's lane, where it waits for the earlier ones → a place among those who
//! may ask the model → if it was stored before we came online, a look whether an earlier run answered it → the model → the answer
//! stored in parts → the question marked as seen. The life of a command: it takes effect at once, the clerk has the choice kept,
//! and then it is confirmed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kit::{Context, Exit, Failure};
use protocol::{Event, MessageType, UserName};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use transport::service::Role as ServiceRole;
use transport::{ApiClient, Limits, Question, Service};

use crate::answer::Answer;
use crate::command::{Request, parse};
use crate::completion::{Message, Role};
use crate::config::{Checked, Config, Credentials, Upstream};
use crate::history::{History, Turn};
use crate::lanes::{Lanes, Place};
use crate::model::{Model, ModelError};
use crate::personality::Personality;
use crate::profiles::{Chosen, Profiles};
use crate::reply::{Earlier, Reply, earlier, say};
use crate::{recall, words};

/// What may ask for something; what other services tell is none of them.
const KINDS: &[MessageType] = &[MessageType::Chat, MessageType::Command];
/// Notes that wait for the clerk. Choices alone are no more than a service has messages under way; beside them stands one for each user
/// who gave up a place, or was answered for the first time. Overflow rule: the choice is left for the next start.
const CLERK_QUEUE: usize = 1024;

/// Works until the context's shutdown.
pub(crate) async fn serve(
    config: Config,
    checked: Checked,
    upstream: Upstream,
    credentials: Credentials,
    context: Context,
) -> Result<(), Failure> {
    let Checked { name, endpoint } = checked;
    let model = Model::new(&config, endpoint, &credentials.api_key)
        .map_err(|error| Failure::new(Exit::Config, error))?;
    let api = ApiClient::new(upstream.api, context.service_token.clone());
    let load = Profiles::load(api.clone(), name.clone());
    let profiles = tokio::select! {
        () = context.shutdown.cancelled() => return Ok(()),
        profiles = load => Arc::new(profiles?),
    };
    let limits = Limits { messages: config.messages_per_hour, cost: config.tokens_per_hour };
    let role = ServiceRole { name: name.clone(), kinds: KINDS, answers: MessageType::Chat, limits };
    let mut service = Service::start(upstream.chat, role, &context);
    let tasks = TaskTracker::new();
    let (clerk, notes) = mpsc::channel(CLERK_QUEUE);
    tasks.spawn(keep_notes(notes, Arc::clone(&profiles), tasks.clone(), context.shutdown.clone()));
    let mind = Mind {
        name,
        model,
        api,
        profiles: Arc::clone(&profiles),
        clerk: clerk.clone(),
        history: Mutex::new(History::new(config.history_turns)),
        places: Semaphore::new(config.max_concurrent),
        lanes: Lanes::default(),
        shutdown: context.shutdown.child_token(),
    };
    let desk = Desk { mind: Arc::new(mind), clerk, tasks: tasks.clone() };
    let result = loop {
        match service.next().await {
            Ok(Some(question)) => desk.take(question),
            Ok(None) => break Ok(()),
            Err(failure) => break Err(failure),
        }
    };
    // Without it nobody asks the model any more, however we got here.
    desk.mind.shutdown.cancel();
    drop(desk);
    tasks.close();
    service.drain(tasks.wait()).await;
    result
}

/// What the clerk has kept.
enum Note {
    /// A user chose; it is confirmed once it is kept.
    Choice(Box<Question>, Personality),
    /// What is kept of a user is not true any more.
    Changed(UserName),
}

/// Gives each message to whoever deals with it.
struct Desk {
    mind: Arc<Mind>,
    clerk: mpsc::Sender<Note>,
    tasks: TaskTracker,
}

impl Desk {
    fn take(&self, question: Question) {
        let current = self.mind.profiles.of(&question.event.sender);
        match parse(question.event.body.as_str()) {
            Request::Help => {
                self.say(question, words::help(&self.mind.name, self.mind.model.name(), current));
            }
            Request::Personality(None) => self.say(question, words::unknown_personality(current)),
            Request::Personality(Some(personality)) => self.choose(question, personality),
            Request::Rotate => self.choose(question, current.next()),
            Request::Forget => {
                self.mind.history().forget(&question.event.sender, question.event.seq);
                self.say(question, words::FORGOTTEN.to_owned());
            }
            Request::Question(_) => self.ask(question),
        }
    }

    fn say(&self, question: Question, text: String) {
        self.tasks.spawn(say(question, text.into()));
    }

    fn choose(&self, question: Question, personality: Personality) {
        let user = &question.event.sender;
        let answered = self.mind.history().len(user) > 0;
        let notes = match self.mind.profiles.choose(user, personality, answered) {
            Chosen::NoRoom => return self.say(question, words::NO_ROOM.to_owned()),
            Chosen::Fits => [None, Some(Note::Choice(Box::new(question), personality))],
            Chosen::InsteadOf(other) => {
                [Some(Note::Changed(other)), Some(Note::Choice(Box::new(question), personality))]
            }
        };
        if notes.into_iter().flatten().any(|note| self.clerk.try_send(note).is_err()) {
            tracing::warn!("too many unsaved choices; this one is saved at the next start");
        }
    }

    fn ask(&self, question: Question) {
        let user = question.event.sender.key().to_owned();
        match self.mind.lanes.enter(&user, question) {
            Place::Runs(question) => {
                self.tasks.spawn(Arc::clone(&self.mind).run_lane(user, question));
            }
            Place::Waits => {}
            Place::Refused(question) => self.say(question, words::TOO_MANY.to_owned()),
        }
    }
}

/// The clerk: has one choice after another kept, and only then says so.
async fn keep_notes(
    mut notes: mpsc::Receiver<Note>,
    profiles: Arc<Profiles>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
) {
    while let Some(note) = notes.recv().await {
        let user = match &note {
            Note::Choice(question, _) => &question.event.sender,
            Note::Changed(user) => user,
        };
        let Some(kept) = shutdown.run_until_cancelled(profiles.keep(user)).await else { return };
        if let Err(error) = &kept {
            tracing::error!(error = kit::failure::chain(error), "cannot save the chosen personality");
        }
        if let Note::Choice(question, personality) = note {
            let mut text = words::changed(personality);
            text.push_str(if kept.is_ok() { "" } else { words::NOT_KEPT });
            tasks.spawn(say(*question, text.into()));
        }
    }
}

/// Everything that answering a question takes.
struct Mind {
    name: UserName,
    model: Model,
    api: ApiClient,
    profiles: Arc<Profiles>,
    clerk: mpsc::Sender<Note>,
    history: Mutex<History>,
    /// Questions that may be with the model at once. The others wait in the order they came.
    places: Semaphore,
    lanes: Lanes<Question>,
    shutdown: CancellationToken,
}

impl Mind {
    /// Answers a user's question, and then those that came meanwhile.
    async fn run_lane(self: Arc<Self>, user: String, first: Question) {
        let mut next = Some(first);
        while let Some(question) = next {
            if self.shutdown.is_cancelled() {
                // This one and those behind it are answered after the next start.
                return;
            }
            self.answer(question).await;
            next = self.lanes.next(&user);
        }
    }

    async fn answer(&self, question: Question) {
        // What is under way at the end is not seen, and so is asked again after the next start.
        let thinking = self.shutdown.run_until_cancelled(self.think(&question));
        match thinking.await {
            None => {}
            Some(Some(reply)) => say(question, reply).await,
            Some(None) => question.finish().await,
        }
    }

    /// What is to be said, or `None` when an earlier run said it.
    async fn think(&self, question: &Question) -> Option<Reply> {
        let _place = self.places.acquire().await.expect("the semaphore is never closed");
        if question.replayed {
            match earlier(&self.api, &self.name, question).await {
                Earlier::Nothing => {}
                Earlier::All => return None,
                Earlier::UpTo(from) => return Some(Reply { text: words::REST_LOST.to_owned(), from }),
            }
        }
        let Event { sender, seq, body, .. } = &question.event;
        if self.history().must_recall(sender) {
            let recalled = recall::recall(&self.api, &question.event).await;
            recalled.tell(sender, &mut self.history());
        }
        let text = match self.ask(question).await {
            Ok(answer) => {
                let mut text = answer.text;
                let turn = Turn { seq: *seq, question: body.to_string(), answer: text.clone() };
                self.history().add(sender, turn);
                if self.profiles.answered(sender)
                    && self.clerk.try_send(Note::Changed(sender.clone())).is_err()
                {
                    tracing::debug!(%sender, "too many unsaved changes; not saving that the user was answered");
                }
                text.push_str(&answer.broke_off.as_ref().map(words::remark).unwrap_or_default());
                text
            }
            Err(error) => {
                tracing::warn!(%error, "the model failed to answer");
                words::apology(&error)
            }
        };
        Some(text.into())
    }

    /// Asks the model. When the conversation is longer than the model's context, its older half is forgotten, and the model is asked
    /// again, until the question stands alone.
    async fn ask(&self, question: &Question) -> Result<Answer, ModelError> {
        let user = &question.event.sender;
        loop {
            let messages = self.messages(user, question.event.body.as_str());
            let result = self.model.ask(&messages).await;
            let turns = self.history().len(user);
            match result {
                Err(ModelError::TooLong) if turns > 0 => {
                    tracing::info!(%user, turns, "the conversation is too long for the model; dropping its older half");
                    self.history().keep_newest(user, turns / 2);
                }
                Err(error) => return Err(error),
                Ok(answer) => {
                    question.spend(answer.tokens.unwrap_or_else(|| estimate(&messages, &answer.text)));
                    return Ok(answer);
                }
            }
        }
    }

    fn messages(&self, user: &UserName, question: &str) -> Vec<Message> {
        let prompt = self.profiles.of(user).prompt().to_owned();
        let mut messages = vec![Message { role: Role::System, content: prompt }];
        messages.extend(self.history().messages(user));
        messages.push(Message { role: Role::User, content: question.to_owned() });
        messages
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a request cost, where the endpoint does not tell: a token has about four bytes.
fn estimate(messages: &[Message], answer: &str) -> u64 {
    let bytes = messages.iter().map(|message| message.content.len()).sum::<usize>() + answer.len();
    bytes.div_ceil(4) as u64
}
