//! A child process with its descendants, from its start until none of them is left.
//!
//! * [`Process::start`]: a process group of its own; standard input is the lifeline, a pipe whose other end we hold; standard output and
//!   error are one pipe into its log.
//! * The process itself is watched, because a descendant may hold a pipe open for longer.
//! * After its end it stays a zombie until its descendants have ended: that prevents the reuse of its group's id. Descendants are
//!   identified by group, by the mark in their environment, by parent, and by having been seen before ([`ProcessTree`]).

use std::ffi::OsString;
use std::io::{self, PipeWriter};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::time::Instant;
use uuid::Uuid;
use wait4::Wait4;

use super::daemon::{self, Daemon};
use super::watch::Watch;
use crate::cgroup::{CONTROL_GROUP, Group, Moving};
use crate::children::{self, Started};
use crate::exit::{ProcessExit, Usage};
use crate::limits::LIMITS;
use crate::listeners::Inheritance;
use crate::lock::Claim;
use crate::logs::Output;
use crate::oom::{Oom, OomWatch};
use crate::proc;
use crate::process_tree::ProcessTree;
use crate::spec::{ComponentSpec, Launch, RestartWhen};
use crate::sweep::{self, RUN};

/// A child process that has not been reaped.
#[derive(Debug)]
pub(super) struct Process {
    pid: Pid,
    watch: Watch,
    child: Child,
    started: Instant,
    /// The launcher's end of the lifeline. Closing it signals the child and every descendant that holds the other end.
    _lifeline: PipeWriter,
    /// The service process that has replaced it after its end.
    daemon: Option<Daemon>,
    /// The process group of the service process, which identifies its members.
    daemon_group: Arc<AtomicU32>,
    /// The process and its descendants, wherever they went.
    process_tree: ProcessTree,
    /// Whether another incarnation follows it when it ends by itself.
    is_restarted: bool,
    /// The process is not reaped before it is in its control group.
    moving: Option<Moving>,
    /// The earlier number of kills for lack of memory.
    oom: OomWatch,
    _registered: Started,
}

/// The result of the search for the service process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Followed {
    /// The pid file names no process of the component yet.
    NotYet,
    /// It has this id.
    Found(u32),
}

/// The context of a start, besides the component's spec.
pub(super) struct Start<'a> {
    pub(super) run_id: Uuid,
    pub(super) claim: &'a Claim,
    pub(super) group: Option<Group>,
    /// The limits that it sets for itself.
    pub(super) own_limits: Option<OsString>,
    pub(super) notify: &'a Path,
    pub(super) output: Output,
    pub(super) sockets: Inheritance,
}

/// How a process ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Death {
    pub(super) exit: ProcessExit,
    pub(super) usage: Option<Usage>,
    pub(super) lived: Duration,
    pub(super) oom: Oom,
}

impl Process {
    /// Starts a component. Its program is running when this returns.
    pub(super) fn start(spec: &ComponentSpec, start: Start<'_>) -> io::Result<Self> {
        let Start { run_id, claim, group, own_limits, notify, output, sockets } = start;
        let (stdin, lifeline) = io::pipe()?;
        let mut command = command(spec, run_id)?;
        command.env("NOTIFY_SOCKET", notify);
        if let Some(group) = &group {
            command.env(CONTROL_GROUP, group.path());
        }
        if let Some(limits) = own_limits {
            command.env(LIMITS, limits);
        }
        command.env(kit::lifeline::LAUNCHER_PID, std::process::id().to_string());
        if let Some(timeout) = spec.watchdog {
            command.env("WATCHDOG_USEC", timeout.as_micros().to_string());
        }
        command.stdin(stdin).stdout(output.stdout).stderr(output.stderr).process_group(0);
        sockets.give_to(&mut command)?;
        let child = claim.lend(|| command.spawn()).map_err(|error| named(&error, spec))?;
        let pid = Pid::from_child(&child);
        let moving = group.as_ref().map(|group| group.take(number(pid), &spec.name));
        let daemon_group = Arc::<AtomicU32>::default();
        match Watch::on(pid) {
            Ok(watch) => Ok(Self {
                pid,
                watch,
                child,
                started: Instant::now(),
                _lifeline: lifeline,
                oom: OomWatch::begin(),
                process_tree: process_tree(
                    number(pid),
                    Arc::clone(&daemon_group),
                    sweep::mark(run_id, &spec.name),
                )
                .within(group),
                is_restarted: spec.schedule.is_none() && spec.restart.when != RestartWhen::Never,
                moving,
                daemon: None,
                daemon_group,
                _registered: Started::main(number(pid)),
            }),
            Err(error) => {
                drop(moving);
                Err(give_up(child, error))
            }
        }
    }

    pub(super) fn id(&self) -> u32 {
        number(self.pid)
    }

    /// Its main process.
    pub(super) fn main(&self) -> u32 {
        number(self.daemon.as_ref().map_or(self.pid, Daemon::pid))
    }

    /// The process group of its main process.
    pub(super) fn group(&self) -> Pid {
        self.daemon.as_ref().map_or(self.pid, Daemon::group)
    }

    /// Looks for the process that a pid file names, once the first one has ended; from then on it is the main one. None where nothing of
    /// it runs any more.
    pub(super) fn follow(&mut self, pid_file: &Path) -> Option<Followed> {
        let members = self.process_tree.search();
        if members.is_empty() {
            return None;
        }
        let named = daemon::read(pid_file).filter(|pid| members.contains_key(pid));
        let pid = named.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        // A process that is ending is missing in the next list.
        let Some(Ok(daemon)) = pid.map(Daemon::follow) else { return Some(Followed::NotYet) };
        self.daemon_group.store(number(daemon.group()), Ordering::Relaxed);
        let pid = number(daemon.pid());
        self.daemon = Some(daemon);
        Some(Followed::Found(pid))
    }

    /// Asks all its processes to end; stopped ones are continued so that they receive the signal.
    pub(super) fn terminate(&mut self, signal: Signal) {
        self.signal(&[signal, Signal::CONT]);
    }

    /// Kills all its processes.
    pub(super) fn kill(&mut self) {
        self.process_tree.kill_group();
        self.signal(&[Signal::KILL]);
    }

    /// Waits until the process has ended. It is then a zombie.
    pub(super) async fn ended(&self) {
        match &self.daemon {
            Some(daemon) => daemon.ended().await,
            None => self.watch.ended().await,
        }
    }

    /// Whether the process has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.daemon.as_ref().map_or_else(|| self.watch.has_ended(), Daemon::has_ended)
    }

    /// Its exit status once it has ended.
    pub(super) fn exit(&self) -> ProcessExit {
        self.daemon.as_ref().map_or_else(|| self.watch.exit(), Daemon::exit)
    }

    /// The time since it was started.
    pub(super) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Whether any descendant is running.
    pub(super) fn has_others(&mut self) -> bool {
        !self.process_tree.search().is_empty()
    }

    /// Describes the descendants found at the last check.
    pub(super) fn describe_others(&self) -> String {
        self.process_tree.describe()
    }

    /// Describes the running process itself.
    pub(super) fn describe(&self) -> String {
        proc::describe(self.main())
    }

    /// Waits briefly until all known descendants have ended; new ones may have been started meanwhile.
    pub(super) async fn others_ended(&self) {
        self.process_tree.ended(Duration::MAX).await;
    }

    /// It has ended by itself: the next incarnation's start is prepared, if there will be one.
    pub(super) fn expect_successor(&self) {
        if self.is_restarted {
            self.process_tree.expect_successor();
        }
    }

    /// Reaps the process once no descendant is left. Removing its control group may take a while.
    pub(super) fn reap(mut self, lived: Duration) -> (Death, Option<Group>) {
        // If descendants cannot be listed, at least the group is killed.
        let _ = kill_process_group(self.pid, Signal::KILL);
        drop(self.moving.take());
        // It is a zombie, so this does not block.
        let (exit, usage) = match self.child.wait4() {
            Ok(end) => {
                let used = end.rusage;
                let usage = Usage { user: used.utime, system: used.stime, max_rss: used.maxrss };
                (ProcessExit::of(end.status), Some(usage))
            }
            Err(_) => (ProcessExit::Unknown, None),
        };
        // The known usage is that of the process that has started it.
        let exit = self.daemon.take().map_or(exit, |daemon| {
            let exit = daemon.exit();
            daemon.reap();
            exit
        });
        let oom = self.oom.end(exit, self.process_tree.oom_kills());
        (Death { exit, usage, lived, oom }, self.process_tree.release_group())
    }

    /// The process has not been reaped, so its id and its group's are still its own.
    fn signal(&mut self, signals: &[Signal]) {
        let group = self.id();
        let others = self.process_tree.search();
        for signal in signals {
            // An empty group needs no signal.
            let _ = kill_process_group(self.pid, *signal);
            let outside = others.values().filter(|member| member.group() != group);
            outside.for_each(|member| member.send(*signal));
        }
    }
}

fn number(pid: Pid) -> u32 {
    pid.as_raw_nonzero().get().unsigned_abs()
}

/// The process tree of a main process. Other children of ours, such as probes, have groups of their own. The environment of what was started
/// before it is not read: on a machine with many processes that would take longer than all else between its end and its next start.
fn process_tree(main: u32, daemon: Arc<AtomicU32>, mark: String) -> ProcessTree {
    // Unknown, and so before all others, if it has ended already.
    let started = proc::entry(main).map_or(0, |entry| entry.started);
    let belongs = move |pid: u32, entry: &proc::Entry| {
        if entry.started < started {
            return false;
        }
        // Until then it is 0, the group of the kernel's own threads.
        let daemon = daemon.load(Ordering::Relaxed);
        if daemon != 0 && entry.group == daemon {
            return true;
        }
        if entry.group == main || children::is_started(entry.group) {
            return entry.group == main;
        }
        let has_our_mark = proc::has_variable(pid, |variable| variable == mark.as_bytes());
        has_our_mark || children::is_orphan_of(pid, entry, main) && !sweep::is_marked(pid)
    };
    ProcessTree::new(Some(main), Box::new(belongs))
}

fn command(spec: &ComponentSpec, run_id: Uuid) -> io::Result<Command> {
    let Launch::Command { program, args, .. } = &spec.launch else { return Err(not_part()) };
    set_environment(program, args, spec, run_id)
}

/// Sets up a program with a component's environment and mark.
pub(super) fn set_environment(
    program: &Path,
    args: &[OsString],
    spec: &ComponentSpec,
    run_id: Uuid,
) -> io::Result<Command> {
    let Launch::Command { env, env_remove, cwd, .. } = &spec.launch else { return Err(not_part()) };
    let mut command = Command::new(program);
    command.args(args);
    for name in env_remove {
        command.env_remove(name);
    }
    // Settings that our own service manager makes for us are not for our children.
    for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
        command.env_remove(name);
    }
    command.envs(env.iter().map(|(name, value)| (name, value))).env(RUN, format!("{run_id}/{}", spec.name));
    if let Some(cwd) = cwd {
        command.current_dir(cwd);
    }
    Ok(command)
}

/// Adds the file or directory to an error of a start.
fn named(error: &io::Error, spec: &ComponentSpec) -> io::Error {
    let what = match &spec.launch {
        Launch::Command { cwd: Some(cwd), .. } if !cwd.is_dir() => {
            format!("its working directory {}: {error}", cwd.display())
        }
        Launch::Command { program, .. } => format!("{}: {error}", program.display()),
        Launch::Skip { .. } => error.to_string(),
    };
    io::Error::new(error.kind(), what)
}

fn not_part() -> io::Error {
    io::Error::other("it is not part of this run")
}

/// Kills a child that cannot be watched.
fn give_up(mut child: Child, error: io::Error) -> io::Error {
    let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    let _ = child.wait();
    error
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn what_was_started_earlier_belongs_to_no_process_and_what_has_its_mark_does() {
        let mark = sweep::mark(Uuid::new_v4(), "web");
        let sleeper = |mark: &str| {
            let (name, value) = mark.split_once('=').unwrap();
            Command::new("sleep").arg("600").env(name, value).process_group(0).spawn().unwrap()
        };
        let started = |child: &Child| proc::entry(child.id()).unwrap().started;
        let mut earlier = sleeper(&mark);
        // The kernel counts in ticks.
        let (mut main, mut mains) = (sleeper(&mark), Vec::new());
        while started(&main) == started(&earlier) {
            mains.push(std::mem::replace(&mut main, sleeper(&mark)));
        }
        let mut later = sleeper(&mark);
        for child in [&earlier, &later] {
            // For a moment of its start a process has no environment.
            while !proc::has_variable(child.id(), |variable| variable == mark.as_bytes()) {
                std::thread::yield_now();
            }
        }
        let mut tree = process_tree(main.id(), Arc::default(), mark);
        let members = tree.search();
        let (has_earlier, has_later) =
            (members.contains_key(&earlier.id()), members.contains_key(&later.id()));
        for child in [&mut earlier, &mut main, &mut later].into_iter().chain(&mut mains) {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert_eq!((has_earlier, has_later), (false, true));
    }
}
