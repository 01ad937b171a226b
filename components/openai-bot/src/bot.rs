//! Runs the bot.
//!
//! The life of a question: received from the service → queued behind the user's earlier ones (its lane) → waits for one of the concurrent
//! requests → if stored before we came online, checked for an answer of an earlier run → answered by the model → the answer is stored in
//! parts → the question is marked as read. The life of a command: it takes effect at once, the clerk stores the choice, and then it is
//! confirmed.

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

/// The types of messages that are questions or commands; notifications of other services are not.
const KINDS: &[MessageType] = &[MessageType::Chat, MessageType::Command];
/// Most notes queued for the clerk. Choices are limited by the messages of a service in flight; there is also one note per user who was
/// displaced or answered for the first time. Overflow rule: the choice is stored after the next start.
const CLERK_QUEUE: usize = 1024;

/// Runs until the context's shutdown.
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
    tasks.spawn(run_clerk(notes, Arc::clone(&profiles), tasks.clone(), context.shutdown.clone()));
    let answerer = Answerer {
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
    let dispatcher = Dispatcher { answerer: Arc::new(answerer), clerk, tasks: tasks.clone() };
    let result = loop {
        match service.next().await {
            Ok(Some(question)) => dispatcher.take(question),
            Ok(None) => break Ok(()),
            Err(failure) => break Err(failure),
        }
    };
    // Stops requests to the model, however the loop ended.
    dispatcher.answerer.shutdown.cancel();
    drop(dispatcher);
    tasks.close();
    service.drain(tasks.wait()).await;
    result
}

/// What the clerk stores.
enum Note {
    /// A user's choice, confirmed once stored.
    Choice(Box<Question>, Personality),
    /// A user's stored profile is outdated.
    Changed(UserName),
}

/// Dispatches messages.
struct Dispatcher {
    answerer: Arc<Answerer>,
    clerk: mpsc::Sender<Note>,
    tasks: TaskTracker,
}

impl Dispatcher {
    fn take(&self, question: Question) {
        let current = self.answerer.profiles.of(&question.event.sender);
        match parse(question.event.body.as_str()) {
            Request::Help => {
                self.say(question, words::help(&self.answerer.name, self.answerer.model.name(), current));
            }
            Request::Personality(None) => self.say(question, words::unknown_personality(current)),
            Request::Personality(Some(personality)) => self.choose(question, personality),
            Request::Rotate => self.choose(question, current.next()),
            Request::Forget => {
                self.answerer.history().forget(&question.event.sender, question.event.seq);
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
        let answered = self.answerer.history().len(user) > 0;
        let notes = match self.answerer.profiles.choose(user, personality, answered) {
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
        match self.answerer.lanes.enter(&user, question) {
            Place::Runs(question) => {
                self.tasks.spawn(Arc::clone(&self.answerer).run_lane(user, question));
            }
            Place::Waits => {}
            Place::Refused(question) => self.say(question, words::TOO_MANY.to_owned()),
        }
    }
}

/// The clerk: stores one choice after another, and then confirms it.
async fn run_clerk(
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
        let Some(kept) = shutdown.run_until_cancelled(profiles.store(user)).await else { return };
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

/// Answers questions.
struct Answerer {
    name: UserName,
    model: Model,
    api: ApiClient,
    profiles: Arc<Profiles>,
    clerk: mpsc::Sender<Note>,
    history: Mutex<History>,
    /// Limits concurrent requests to the model. Others wait in order of arrival.
    places: Semaphore,
    lanes: Lanes<Question>,
    shutdown: CancellationToken,
}

impl Answerer {
    /// Answers a user's question, and then those that arrived meanwhile.
    async fn run_lane(self: Arc<Self>, user: String, first: Question) {
        let mut next = Some(first);
        while let Some(question) = next {
            if self.shutdown.is_cancelled() {
                // This one and the queued ones are answered after the next start.
                return;
            }
            self.answer(question).await;
            next = self.lanes.next(&user);
        }
    }

    async fn answer(&self, question: Question) {
        // A question in progress at shutdown stays unread, and is answered after the next start.
        let thinking = self.shutdown.run_until_cancelled(self.think(&question));
        match thinking.await {
            None => {}
            Some(Some(reply)) => say(question, reply).await,
            Some(None) => question.finish().await,
        }
    }

    /// The reply, or `None` if an earlier run sent it.
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
            recalled.add_to(sender, &mut self.history());
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

    /// Asks the model. If the conversation exceeds the model's context, its older half is dropped and the request repeated, until only the
    /// question is left.
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

/// Estimates a request's cost if the endpoint does not report it: a token has about four bytes.
fn estimate(messages: &[Message], answer: &str) -> u64 {
    let bytes = messages.iter().map(|message| message.content.len()).sum::<usize>() + answer.len();
    bytes.div_ceil(4) as u64
}
