//! The thread that communicates with the launcher and reads logs.
//!
//! Requests arrive in a queue of [`CAPACITY`]; with more waiting, which nobody can type, a key has no effect. News are sent through a queue
//! of the same size, and wait there.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use kit::Failure;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::log;
use super::rate::{self, Rate};
use crate::cli::options::{Where, small_runtime};
use crate::cli::running;
use crate::config::Directories;
use crate::supervisor::Snapshot;
use crate::supervisor::control::{self, Request, Response};
use crate::supervisor::load::Meter;

/// The capacity of both queues.
const CAPACITY: usize = 16;
/// The refresh interval.
const PERIOD: Duration = Duration::from_millis(500);

/// Updates for the screen.
#[derive(Debug)]
pub(super) enum News {
    /// A snapshot, or why there is none.
    State(Box<Result<Snapshot, String>>),
    /// The end of a component's log.
    Log { component: String, lines: Vec<String> },
    /// The rate of stored messages, if known.
    Rate(Option<f64>),
    /// Why a request was rejected.
    Refused(String),
}

#[derive(Debug)]
enum Command {
    ShowLog(String),
    Send(Request),
}

/// The screen's side of the queues.
#[derive(Debug)]
pub(super) struct Link(mpsc::Sender<Command>);

impl Link {
    /// Starts the thread. The news channel is closed when a signal asks us to end.
    pub(super) fn start(place: &Where) -> Result<(Self, Receiver<News>), Failure> {
        let directories = Directories { logs: running::logs(place)?, ..place.directories()? };
        let (commands, received) = mpsc::channel(CAPACITY);
        let (news, heard) = sync_channel(CAPACITY);
        let runtime = small_runtime()?;
        let work = move || {
            let worker =
                Worker { directories, news, meter: Meter::default(), rate: Rate::default(), component: None };
            // The receiver notices the end by the closed channel.
            let _ = runtime.block_on(worker.run(received));
        };
        std::thread::Builder::new().name("link".to_owned()).spawn(work)?;
        Ok((Self(commands), heard))
    }

    /// Shows this component's log from now on.
    pub(super) fn show_log(&self, component: String) {
        let _ = self.0.try_send(Command::ShowLog(component));
    }

    /// Sends a request to the launcher.
    pub(super) fn ask(&self, request: Request) {
        let _ = self.0.try_send(Command::Send(request));
    }
}

struct Worker {
    directories: Directories,
    news: SyncSender<News>,
    meter: Meter,
    rate: Rate,
    component: Option<String>,
}

/// The screen was closed.
struct ScreenClosed;

impl Worker {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) -> Result<(), ScreenClosed> {
        let end = CancellationToken::new();
        kit::shutdown::on_signals(end.clone()).map_err(|_| ScreenClosed)?;
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let order = tokio::select! {
                () = end.cancelled() => return Ok(()),
                order = commands.recv() => Some(order.ok_or(ScreenClosed)?),
                _ = ticks.tick() => None,
            };
            match order {
                Some(Command::ShowLog(component)) => {
                    self.component = Some(component);
                    self.send_log()?;
                }
                Some(Command::Send(request)) => {
                    self.carry_out(&request).await?;
                    self.send_state().await?;
                }
                None => {
                    self.send_state().await?;
                    self.send_log()?;
                }
            }
        }
    }

    async fn carry_out(&self, request: &Request) -> Result<(), ScreenClosed> {
        match control::request(&self.directories.data, request).await {
            Ok(Response::Refused { reason }) => self.send(News::Refused(reason)),
            Err(error) => self.send(News::Refused(error.to_string())),
            Ok(Response::Accepted | Response::Status { .. } | Response::Reload { .. }) => Ok(()),
        }
    }

    async fn send_state(&mut self) -> Result<(), ScreenClosed> {
        let look = match control::request(&self.directories.data, &Request::Status).await {
            Ok(Response::Status { mut snapshot }) => {
                self.meter.measure(&mut snapshot);
                Ok(snapshot)
            }
            Ok(other) => Err(crate::cli::ask::unexpected(&other).to_string()),
            Err(error) => Err(error.to_string()),
        };
        let address = look.as_ref().ok().and_then(|snapshot| snapshot.address_of("message-api"));
        self.send(News::State(Box::new(look)))?;
        let count = match address {
            Some(address) => rate::count(address).await,
            None => None,
        };
        let rate = self.rate.note(Instant::now(), count);
        self.send(News::Rate(rate))
    }

    fn send_log(&self) -> Result<(), ScreenClosed> {
        let Some(component) = self.component.clone() else { return Ok(()) };
        let lines = log::end_of(&self.directories.logs, &component);
        self.send(News::Log { component, lines })
    }

    fn send(&self, news: News) -> Result<(), ScreenClosed> {
        self.news.send(news).map_err(|_| ScreenClosed)
    }
}
