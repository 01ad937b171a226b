//! Server-sent events: how everything is, what happens, and lines of logs.
//!
//! The life of a subscriber: it takes a place; its task hears the sampler's news, looks at the logs it wants every [`LOOK`], and puts what
//! there is into a queue of [`QUEUE`] messages. The queue empties as fast as the client reads. One that is full, but for the last place, gets
//! `lagged` there, and the stream ends: the client may come again, and has the log files for what it missed.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use kit::places::Place;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use super::app::App;
use super::looker::{Status, expanded};
use super::problem::Problem;
use super::sampler::News;
use super::tailing::{Added, Tail};
use crate::log_reader;

/// Messages that may wait for a client. The longest are what was read of a log: with 64 KiB each a slow client holds 2 MiB at most.
const QUEUE: usize = 32;
/// How often logs are looked at; an eye sees hardly a difference.
const LOOK: Duration = Duration::from_millis(200);
/// How often new logs are looked for.
const SEARCH: u32 = 10;
/// Logs of one subscriber at most; with more, the first ones by name are followed.
const LOGS: usize = 256;
/// Stands for all logs.
const ALL: &str = "all";
/// How often the token is compared with the one that let the subscriber in.
const CHECK: Duration = Duration::from_secs(5);

/// What a subscriber wants.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Components, groups or programs with replicas whose log lines are sent, separated by commas, or `all`; none where it is missing.
    #[serde(default)]
    logs: Vec<String>,
}

/// One message: its name is in `event:`, and the rest of it in `data:` as JSON.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "kebab-case", rename = "StreamMessage")]
#[expect(dead_code, reason = "it says in the document what the messages are")]
pub(super) enum Message {
    /// How everything is: at once, every two seconds, and after each change.
    Status(Status),
    /// A line of `events.jsonl`.
    Event(serde_json::Value),
    /// Lines that were added to a log.
    Log(Added),
    /// The client reads too slowly; the stream ends.
    Lagged {},
}

/// `GET /stream`.
pub(super) async fn stream(app: Arc<App>, wanted: Wanted, client: IpAddr) -> Result<Response, Problem> {
    let Ok(place) = app.places.take(client) else {
        return Err(Problem::busy("too many pages follow the launcher"));
    };
    let logs = if wanted.logs.is_empty() { None } else { Some(Logs::open(&app, wanted.logs).await?) };
    let (queue, messages) = mpsc::channel(QUEUE);
    let first = Status::of(app.looker.look().await?);
    let first =
        serde_json::to_string(&first).map_err(|error| Problem::internal("cannot tell the state", &error))?;
    let _ = queue.try_send(Event::default().event("status").data(first));
    let subscriber = Subscriber { queue, news: app.sampler.subscribe(), logs, token: app.token()?, app };
    tokio::spawn(subscriber.run());
    Ok(answer(messages, place))
}

fn answer(messages: mpsc::Receiver<Event>, place: Place) -> Response {
    let next = async |(mut messages, place): (mpsc::Receiver<Event>, Place)| {
        let message = messages.recv().await?;
        Some((Ok::<_, Infallible>(message), (messages, place)))
    };
    Sse::new(stream::unfold((messages, place), next)).keep_alive(KeepAlive::default()).into_response()
}

struct Subscriber {
    app: Arc<App>,
    queue: mpsc::Sender<Event>,
    news: broadcast::Receiver<News>,
    logs: Option<Logs>,
    token: Option<kit::Secret>,
}

/// The client is gone, or too slow.
struct Gone;

impl Subscriber {
    async fn run(mut self) {
        let shutdown = self.app.shutdown.clone();
        // Both ends are the same to it: the connection closes.
        let _ = shutdown.run_until_cancelled(self.follow()).await;
    }

    async fn follow(&mut self) -> Result<(), Gone> {
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut checks = tokio::time::interval(CHECK);
        let queue = self.queue.clone();
        loop {
            tokio::select! {
                () = queue.closed() => return Err(Gone),
                news = self.news.recv() => self.tell_news(news)?,
                _ = looks.tick(), if self.logs.is_some() => self.tell_logs().await?,
                _ = checks.tick() => self.check()?,
            }
        }
    }

    /// Whoever replaced the token wants nobody to listen who has the earlier one.
    fn check(&self) -> Result<(), Gone> {
        match self.app.token() {
            Ok(token) if token == self.token => Ok(()),
            _ => Err(Gone),
        }
    }

    fn tell_news(&self, news: Result<News, RecvError>) -> Result<(), Gone> {
        match news {
            Ok(News::Status(json)) => self.tell("status", &json),
            Ok(News::Event(json)) => self.tell("event", &json),
            Err(RecvError::Lagged(_)) => self.lagged(),
            Err(RecvError::Closed) => Err(Gone),
        }
    }

    async fn tell_logs(&mut self) -> Result<(), Gone> {
        let Some(logs) = self.logs.take() else { return Ok(()) };
        // A log that cannot be read now may be so at the next look.
        let (logs, added) = tokio::task::spawn_blocking(move || logs.look()).await.map_err(|_| Gone)?;
        self.logs = Some(logs);
        for added in added {
            self.tell("log", &serde_json::to_string(&added).map_err(|_| Gone)?)?;
        }
        Ok(())
    }

    fn tell(&self, name: &str, json: &str) -> Result<(), Gone> {
        if self.queue.capacity() <= 1 {
            return self.lagged();
        }
        self.queue.try_send(Event::default().event(name).data(json)).map_err(|_| Gone)
    }

    fn lagged(&self) -> Result<(), Gone> {
        let _ = self.queue.try_send(Event::default().event("lagged").data("{}"));
        Err(Gone)
    }
}

/// The logs that a subscriber follows.
struct Logs {
    directory: std::path::PathBuf,
    tails: Vec<Tail>,
    /// Whether logs that come later are followed, too.
    all: bool,
    looks: u32,
}

impl Logs {
    async fn open(app: &App, names: Vec<String>) -> Result<Self, Problem> {
        let snapshot = app.looker.look().await?;
        let names = expanded(&snapshot, names);
        let directory = snapshot.logs;
        app.read(move || {
            let all = names.iter().any(|name| name == ALL);
            let mut logs = Self { directory, tails: Vec::new(), all, looks: 0 };
            let known = log_reader::known(&logs.directory);
            let known = known.map_err(|error| Problem::internal("cannot read the logs", &error))?;
            let names = if all { known } else { names };
            for name in names.into_iter().take(LOGS) {
                logs.follow(&name).map_err(|error| Problem::internal("cannot read the log", &error))?;
            }
            Ok(logs)
        })
        .await
    }

    fn follow(&mut self, name: &str) -> std::io::Result<()> {
        if self.tails.iter().all(|tail| tail.component() != name) && is_name(name) {
            self.tails.push(Tail::open(&self.directory, name)?);
        }
        Ok(())
    }

    /// What was added to them; those that nothing was added to are left out.
    fn look(mut self) -> (Self, Vec<Added>) {
        self.looks = (self.looks + 1) % SEARCH;
        if self.all && self.looks == 0 {
            for name in log_reader::known(&self.directory).unwrap_or_default().into_iter().take(LOGS) {
                let _ = self.follow(&name);
            }
        }
        let added = self.tails.iter_mut().filter_map(|tail| tail.look().ok());
        let added = added.filter(|added| !added.lines.is_empty() || added.skipped_bytes > 0).collect();
        (self, added)
    }
}

/// What may be a component's: nothing that leads out of the directory.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['/', '\0']) && !name.starts_with('.')
}
