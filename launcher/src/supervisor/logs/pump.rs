//! The log thread: one task for each pipe, one file for each component.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinSet, LocalSet};

use super::archive::Archiver;
use super::awaited::Awaited;
use super::file::{Counters, LogFile};
use super::mask::{Masker, Secrets};
use super::tail::Tail;
use crate::supervisor::spec::LogPolicy;

/// How much is read at once; a pipe holds no more unless it is told to.
const READ: usize = 64 * 1024;

/// How long a pipe may stay open after its process has ended before its last lines are told without waiting for its end.
const LEAK: Duration = Duration::from_millis(100);

/// How long the pipes' ends are waited for at the close.
const LINGER: Duration = Duration::from_millis(300);

/// How often every file is looked after.
const TICK: Duration = Duration::from_millis(500);

/// What the thread is told.
pub(super) enum Command {
    /// Read this pipe.
    Attach(Source),
    /// Other limits and secrets.
    Set(LogPolicy, Secrets),
    /// Write what is left, answer, and end.
    Close(oneshot::Sender<()>),
}

/// The pipe of one process.
pub(super) struct Source {
    pub(super) component: String,
    pub(super) reader: OwnedFd,
    pub(super) counters: Arc<Counters>,
    pub(super) awaited: Option<Awaited>,
    /// Brings the question for the last lines once the process has ended.
    pub(super) asked: oneshot::Receiver<oneshot::Sender<Vec<String>>>,
}

/// The state of the thread.
pub(super) struct Pump {
    directory: PathBuf,
    policy: LogPolicy,
    secrets: Secrets,
    archiver: Archiver,
    files: BTreeMap<String, Rc<RefCell<LogFile>>>,
}

impl Pump {
    pub(super) fn new(directory: PathBuf, policy: LogPolicy, secrets: Secrets, archiver: Archiver) -> Self {
        Self { directory, policy, secrets, archiver, files: BTreeMap::new() }
    }

    /// Starts the thread.
    pub(super) fn start(self, commands: mpsc::Receiver<Command>) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let Self { directory, policy, secrets, archiver, .. } = self;
        // Its files are not shared between threads, so it is put together on its own.
        let run = move || {
            let pump = Self::new(directory, policy, secrets, archiver);
            LocalSet::new().block_on(&runtime, pump.run(commands));
        };
        std::thread::Builder::new().name("logs".to_owned()).spawn(run)?;
        Ok(())
    }

    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut readers = JoinSet::new();
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let closed = loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Attach(source)) => self.attach(source, &mut readers),
                    Some(Command::Set(policy, secrets)) => self.set(policy, secrets),
                    Some(Command::Close(done)) => break Some(done),
                    None => break None,
                },
                Some(_) = readers.join_next() => {}
                _ = ticks.tick() => self.tick(),
            }
        };
        let all = async { while readers.join_next().await.is_some() {} };
        // A descendant that escaped may hold a pipe for ever.
        let _ = tokio::time::timeout(LINGER, all).await;
        self.tick();
        if let Some(done) = closed {
            let _ = done.send(());
        }
    }

    fn attach(&mut self, source: Source, readers: &mut JoinSet<()>) {
        let Source { component, reader, counters, awaited, asked } = source;
        let reader = match pipe::Receiver::from_owned_fd(reader) {
            Ok(reader) => reader,
            Err(error) => return tracing::error!(component, %error, "its output cannot be read and is lost"),
        };
        let make = || {
            let archiver = self.archiver.clone();
            LogFile::new(&self.directory, &component, self.policy, counters, archiver, Instant::now())
        };
        let file = self.files.entry(component.clone()).or_insert_with(|| Rc::new(RefCell::new(make())));
        let stream = Stream {
            file: Rc::clone(file),
            masker: Masker::new(self.secrets.clone()),
            tail: Tail::default(),
            awaited,
        };
        readers.spawn_local(read(reader, stream, asked));
    }

    fn set(&mut self, policy: LogPolicy, secrets: Secrets) {
        self.policy = policy;
        self.secrets = secrets;
        self.files.values().for_each(|file| file.borrow_mut().set_policy(policy));
    }

    fn tick(&self) {
        let now = Instant::now();
        self.files.values().for_each(|file| file.borrow_mut().tick(now));
    }
}

/// What one process writes, on its way to the file.
struct Stream {
    file: Rc<RefCell<LogFile>>,
    masker: Masker,
    tail: Tail,
    awaited: Option<Awaited>,
}

impl Stream {
    fn write(&mut self, bytes: &[u8], masked: &mut Vec<u8>) {
        masked.clear();
        self.masker.feed(bytes, masked);
        self.tail.feed(masked);
        if let Some(awaited) = &mut self.awaited {
            awaited.feed(masked);
        }
        self.file.borrow_mut().write(Instant::now(), masked);
    }

    fn end(&mut self) {
        let mut rest = Vec::new();
        self.masker.finish(&mut rest);
        self.tail.feed(&rest);
        let mut file = self.file.borrow_mut();
        file.write(Instant::now(), &rest);
        file.end_stream(Instant::now());
    }
}

/// Reads one pipe to its end, and answers the question for the last lines at its end or soon after the question.
async fn read(
    mut reader: pipe::Receiver,
    mut stream: Stream,
    mut asked: oneshot::Receiver<oneshot::Sender<Vec<String>>>,
) {
    let (mut buffer, mut masked) = (vec![0; READ], Vec::with_capacity(READ));
    let mut answer = None;
    let mut deadline = None;
    loop {
        tokio::select! {
            biased;
            question = &mut asked, if answer.is_none() && deadline.is_none() => {
                answer = question.ok();
                deadline = Some(tokio::time::Instant::now() + LEAK);
            }
            () = until(deadline), if answer.is_some() => tell(&mut answer, &stream),
            count = reader.read(&mut buffer) => match count {
                Ok(count) if count > 0 => stream.write(&buffer[..count], &mut masked),
                Ok(_) | Err(_) => break,
            },
        }
    }
    stream.end();
    if answer.is_none() && deadline.is_none() {
        // The end of the pipe may be seen before the end of the process.
        answer = asked.await.ok();
    }
    tell(&mut answer, &stream);
}

fn tell(answer: &mut Option<oneshot::Sender<Vec<String>>>, stream: &Stream) {
    if let Some(answer) = answer.take() {
        // Who asked may have lost patience.
        let _ = answer.send(stream.tail.lines());
    }
}

async fn until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
