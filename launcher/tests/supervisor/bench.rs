//! A supervisor in a directory of its own, with functions that wait for its progress.

use std::path::Path;
use std::time::Duration;

use kit::Failure;
use launcher::supervisor::control::{Request, Response, request};
use launcher::supervisor::status::{ComponentStatus, State};
use launcher::supervisor::{
    Claim, ComponentSpec, DataLock, Hooks, Outcome, Plan, Progress, Snapshot, supervise_until,
};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::Instant;

use crate::processes::files;

/// A generous time limit, for slow machines.
const PATIENCE: Duration = Duration::from_secs(30);

/// A data directory for one launcher, after processes of an earlier one have ended.
pub(crate) async fn claim(data: &Path) -> Result<Claim, Failure> {
    DataLock::take(data)?.claim().await
}

/// Runs a test like the launcher: on one thread.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, future)
}

/// A running supervisor.
pub(crate) struct Bench {
    pub(crate) dir: tempfile::TempDir,
    signals: mpsc::Sender<()>,
    progress: mpsc::Receiver<Progress>,
    running: JoinHandle<Result<Outcome, Failure>>,
}

impl Bench {
    pub(crate) async fn start(components: Vec<ComponentSpec>) -> Self {
        Self::with(|data| (Plan::new(data, components), Hooks::default())).await
    }

    /// With any plan and hooks; the progress channel is the bench's own.
    pub(crate) async fn with(make: impl FnOnce(&Path) -> (Plan, Hooks)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (plan, mut hooks) = make(dir.path());
        let (sender, progress) = mpsc::channel(10_000);
        hooks.progress = Some(sender);
        let (signals, signalled) = mpsc::channel(8);
        let claim = claim(dir.path()).await.unwrap();
        let running = tokio::task::spawn_local(supervise_until(plan, claim, hooks, signalled));
        // From now on it answers requests.
        while !dir.path().join("run/control.sock").exists() {
            tokio::task::yield_now().await;
        }
        Self { dir, signals, progress, running }
    }

    /// Waits until everything is ready, or cannot become ready.
    pub(crate) async fn settled(&mut self) -> Snapshot {
        loop {
            if let Progress::Settled(snapshot) = self.progress().await {
                return snapshot;
            }
        }
    }

    /// The next progress message.
    pub(crate) async fn progress(&mut self) -> Progress {
        let next = tokio::time::timeout(PATIENCE, self.progress.recv()).await;
        next.expect("nothing happens").expect("the supervisor has ended")
    }

    pub(crate) async fn ask(&self, question: Request) -> Response {
        request(self.dir.path(), &question).await.unwrap()
    }

    pub(crate) async fn snapshot(&self) -> Snapshot {
        match self.ask(Request::Status).await {
            Response::Status { snapshot } => snapshot,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn component(&self, name: &str) -> ComponentStatus {
        self.snapshot().await.component(name).unwrap_or_else(|| panic!("there is no {name}")).clone()
    }

    /// Waits until a component is in the expected state.
    pub(crate) async fn until(&self, name: &str, is: impl Fn(&ComponentStatus) -> bool) -> ComponentStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.component(name).await;
            if is(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "{status:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub(crate) async fn until_state(&self, name: &str, state: State) -> ComponentStatus {
        self.until(name, |status| status.state == state).await
    }

    pub(crate) fn signal(&self) {
        self.signals.try_send(()).unwrap();
    }

    /// Waits for the end, and returns the progress until then.
    pub(crate) async fn ended(mut self) -> (Outcome, Vec<Progress>, tempfile::TempDir) {
        let outcome = tokio::time::timeout(PATIENCE, self.running).await.expect("it does not end");
        let mut told = Vec::new();
        while let Ok(progress) = self.progress.try_recv() {
            told.push(progress);
        }
        (outcome.unwrap().unwrap(), told, self.dir)
    }

    /// Stops everything.
    pub(crate) async fn stop(self) -> tempfile::TempDir {
        self.signal();
        let (outcome, _, dir) = self.ended().await;
        assert_eq!(outcome, Outcome::default());
        dir
    }

    pub(crate) fn log(&self, name: &str) -> String {
        log(self.dir.path(), name)
    }

    /// Waits until a component's log has a text.
    pub(crate) async fn logged(&self, name: &str, text: &str) {
        wait_for(|| self.log(name).contains(text)).await;
    }
}

/// What a component has logged.
pub(crate) fn log(data: &Path, name: &str) -> String {
    std::fs::read_to_string(data.join(format!("logs/{name}.log"))).unwrap_or_default()
}

/// Polls for a condition.
pub(crate) async fn wait_for(is: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < deadline, "waited in vain");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Whether a process runs; a zombie does not.
pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z') && !rest.starts_with('X'))
}

/// Whether a group has a process that runs.
pub(crate) fn is_group_alive(group: u32) -> bool {
    let mut fields = files("stat").filter_map(|(_, stat)| {
        let stat = String::from_utf8_lossy(&stat);
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        Some((fields[0].to_owned(), fields[2].parse::<u32>().ok()?))
    });
    fields.any(|(state, pgrp)| pgrp == group && state != "Z" && state != "X")
}

/// A signal from outside.
pub(crate) fn kill(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}
