//! The thread that speaks with the launcher and reads logs.
//!
//! Orders come in by a queue of [`PLACES`]; with more waiting, which no hand can type, a key does nothing. News go out by one of
//! as many, and wait there until they are heard.

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

/// As many orders or news may wait.
const PLACES: usize = 16;
/// How often it is looked.
const PERIOD: Duration = Duration::from_millis(500);

/// What the screen hears.
#[derive(Debug)]
pub(super) enum News {
    /// How everything is, or why that is not known.
    Look(Box<Result<Snapshot, String>>),
    /// The end of a component's log.
    Log { component: String, lines: Vec<String> },
    /// How many messages a second are stored, where that is known.
    Rate(Option<f64>),
    /// What became of a wish, if it was refused.
    Refused(String),
}

#[derive(Debug)]
enum Order {
    LookAt(String),
    Ask(Request),
}

/// The screen's end.
#[derive(Debug)]
pub(super) struct Link(mpsc::Sender<Order>);

impl Link {
    /// Starts the thread. The news end when a signal asks for the end.
    pub(super) fn start(place: &Where) -> Result<(Self, Receiver<News>), Failure> {
        let directories = Directories { logs: running::logs(place)?, ..place.directories()? };
        let (orders, ordered) = mpsc::channel(PLACES);
        let (news, heard) = sync_channel(PLACES);
        let runtime = small_runtime()?;
        let work = move || {
            let worker =
                Worker { directories, news, meter: Meter::default(), rate: Rate::default(), component: None };
            // Its end is told by the end of the news.
            let _ = runtime.block_on(worker.run(ordered));
        };
        std::thread::Builder::new().name("link".to_owned()).spawn(work)?;
        Ok((Self(orders), heard))
    }

    /// Shows this component's log from now on.
    pub(super) fn look_at(&self, component: String) {
        let _ = self.0.try_send(Order::LookAt(component));
    }

    /// Asks the launcher for something.
    pub(super) fn ask(&self, request: Request) {
        let _ = self.0.try_send(Order::Ask(request));
    }
}

struct Worker {
    directories: Directories,
    news: SyncSender<News>,
    meter: Meter,
    rate: Rate,
    component: Option<String>,
}

/// The screen is gone.
struct Gone;

impl Worker {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>) -> Result<(), Gone> {
        let end = CancellationToken::new();
        kit::shutdown::on_signals(end.clone()).map_err(|_| Gone)?;
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let order = tokio::select! {
                () = end.cancelled() => return Ok(()),
                order = orders.recv() => Some(order.ok_or(Gone)?),
                _ = ticks.tick() => None,
            };
            match order {
                Some(Order::LookAt(component)) => {
                    self.component = Some(component);
                    self.tell_log()?;
                }
                Some(Order::Ask(request)) => {
                    self.carry_out(&request).await?;
                    self.tell_look().await?;
                }
                None => {
                    self.tell_look().await?;
                    self.tell_log()?;
                }
            }
        }
    }

    async fn carry_out(&self, request: &Request) -> Result<(), Gone> {
        match control::request(&self.directories.data, request).await {
            Ok(Response::Refused { reason }) => self.tell(News::Refused(reason)),
            Err(error) => self.tell(News::Refused(error.to_string())),
            Ok(Response::Accepted | Response::Status { .. } | Response::Reload { .. }) => Ok(()),
        }
    }

    async fn tell_look(&mut self) -> Result<(), Gone> {
        let look = match control::request(&self.directories.data, &Request::Status).await {
            Ok(Response::Status { mut snapshot }) => {
                self.meter.measure(&mut snapshot);
                Ok(snapshot)
            }
            Ok(other) => Err(crate::cli::ask::unexpected(&other).to_string()),
            Err(error) => Err(error.to_string()),
        };
        let address = look.as_ref().ok().and_then(|snapshot| running::address(snapshot, "message-api"));
        self.tell(News::Look(Box::new(look)))?;
        let count = match address {
            Some(address) => rate::count(address).await,
            None => None,
        };
        let rate = self.rate.note(Instant::now(), count);
        self.tell(News::Rate(rate))
    }

    fn tell_log(&self) -> Result<(), Gone> {
        let Some(component) = self.component.clone() else { return Ok(()) };
        let lines = log::end_of(&self.directories.logs, &component);
        self.tell(News::Log { component, lines })
    }

    fn tell(&self, news: News) -> Result<(), Gone> {
        self.news.send(news).map_err(|_| Gone)
    }
}
