//! The reading thread: one task per pipe. It never accesses the disk.

use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinSet, LocalSet};

use super::awaited::Awaited;
use super::file::{Counters, StreamId};
use super::format::{Channel, Formatter};
use super::mask::{Masker, Secrets};
use super::stream::{Stream, Way};
use super::tail::Tail;
use super::tap::{Spout, Tap};
use super::writer::Job;
use crate::spec::{LogFormat, LogPolicy};

/// The size of a read, and of a pipe. A larger one would lose more when the launcher is killed.
const READ: usize = 256 * 1024;

/// How long to wait for the end of a pipe after its process has ended, before its last lines are reported.
const LEAK: Duration = Duration::from_millis(100);

/// How long nothing must arrive before a possible beginning of a secret is released.
const QUIET: Duration = Duration::from_millis(200);

/// Time limit for the ends of all pipes when closing.
const LINGER: Duration = Duration::from_millis(300);

/// The interval of checks of all files.
const TICK: Duration = Duration::from_millis(500);

/// A command to the thread.
pub(super) enum Command {
    /// Read this pipe.
    Attach(Source),
    /// Change limits and secrets.
    Set(LogPolicy, Secrets),
    /// Write what is left, answer, and end.
    Close(oneshot::Sender<()>),
}

/// The pipe of one process.
pub(super) struct Source {
    pub(super) component: String,
    pub(super) channel: Channel,
    pub(super) reader: OwnedFd,
    pub(super) counters: Arc<Counters>,
    /// The text to wait for in it.
    pub(super) awaited: Option<Awaited>,
    /// Receives the request for the last lines once the process has ended.
    pub(super) asked: oneshot::Receiver<oneshot::Sender<Vec<String>>>,
}

/// The state of the thread.
struct Pump {
    secrets: Secrets,
    tap: Option<Tap>,
    format: Rc<Cell<LogFormat>>,
    jobs: mpsc::Sender<Job>,
    streams: StreamId,
}

/// Starts the thread.
pub(super) fn start(
    policy: LogPolicy,
    secrets: Secrets,
    tap: Option<Tap>,
    jobs: mpsc::Sender<Job>,
    commands: mpsc::Receiver<Command>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let run = move || {
        let pump = Pump { secrets, tap, format: Rc::new(Cell::new(policy.format)), jobs, streams: 0 };
        LocalSet::new().block_on(&runtime, pump.run(commands));
    };
    std::thread::Builder::new().name("logs".to_owned()).spawn(run)?;
    Ok(())
}

impl Pump {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut readers = JoinSet::new();
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let closed = loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Attach(source)) => self.attach(source, &mut readers).await,
                    Some(Command::Set(policy, secrets)) => self.set(policy, secrets).await,
                    Some(Command::Close(done)) => break Some(done),
                    None => break None,
                },
                Some(_) = readers.join_next() => {}
                // If its queue is full, the writer is busy enough.
                _ = ticks.tick() => drop(self.jobs.try_send(Job::Tick)),
            }
        };
        let all = async { while readers.join_next().await.is_some() {} };
        // A descendant that escaped may hold a pipe forever.
        let _ = tokio::time::timeout(LINGER, all).await;
        if let Some(done) = closed {
            let _ = self.jobs.send(Job::Close(done)).await;
        }
    }

    async fn attach(&mut self, source: Source, readers: &mut JoinSet<()>) {
        let Source { component, channel, reader, counters, awaited, asked } = source;
        #[cfg(target_os = "linux")]
        {
            // If the size cannot be changed, the pipe keeps its own.
            let _ = rustix::pipe::fcntl_setpipe_size(&reader, READ);
        }
        let reader = match pipe::Receiver::from_owned_fd(reader) {
            Ok(reader) => reader,
            Err(error) => {
                return tracing::error!(component, %error, "cannot read the component's output; it is lost");
            }
        };
        self.streams += 1;
        let name: Arc<str> = Arc::from(component.as_str());
        let stream = Stream {
            id: self.streams,
            spout: self.tap.clone().map(|tap| Spout::new(tap, Arc::clone(&name))),
            component: name,
            counters: Arc::clone(&counters),
            masker: Masker::new(self.secrets.clone()),
            formatter: Formatter::new(component, channel, Rc::clone(&self.format)),
            tail: Tail::default(),
            awaited,
            way: Way::new(self.jobs.clone()),
        };
        let open = Job::Open { component: Arc::clone(&stream.component), counters };
        // The writer ends after this thread.
        let _ = self.jobs.send(open).await;
        readers.spawn_local(read(reader, stream, asked));
    }

    async fn set(&mut self, policy: LogPolicy, secrets: Secrets) {
        self.secrets = secrets;
        self.format.set(policy.format);
        let _ = self.jobs.send(Job::Set(policy)).await;
    }
}

/// Reads one pipe to its end, and answers the request for the last lines at its end or shortly after the request.
async fn read(
    mut reader: pipe::Receiver,
    mut stream: Stream,
    mut asked: oneshot::Receiver<oneshot::Sender<Vec<String>>>,
) {
    let mut buffer = Vec::new();
    let mut answer = None;
    let mut deadline = None;
    let mut quiet = None;
    loop {
        if buffer.capacity() < READ {
            buffer = Vec::with_capacity(READ);
        }
        tokio::select! {
            biased;
            question = &mut asked, if answer.is_none() && deadline.is_none() => {
                answer = question.ok();
                deadline = Some(tokio::time::Instant::now() + LEAK);
            }
            () = until(deadline), if answer.is_some() => tell(&mut answer, &stream),
            count = reader.read_buf(&mut buffer) => match count {
                Ok(count) if count > 0 => {
                    buffer = stream.write(buffer).await;
                    quiet = stream.is_holding().then(|| tokio::time::Instant::now() + QUIET);
                }
                Ok(_) | Err(_) => break,
            },
            () = until(quiet), if quiet.is_some() => {
                stream.rest().await;
                quiet = None;
            }
        }
    }
    stream.end().await;
    if answer.is_none() && deadline.is_none() {
        // The end of the pipe may be noticed before the end of the process.
        answer = asked.await.ok();
    }
    tell(&mut answer, &stream);
}

fn tell(answer: &mut Option<oneshot::Sender<Vec<String>>>, stream: &Stream) {
    if let Some(answer) = answer.take() {
        // The receiver may have timed out.
        let _ = answer.send(stream.tail.lines());
    }
}

async fn until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
