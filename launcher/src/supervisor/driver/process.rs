//! One child process with all that it starts, from its start to the moment when nothing of it is left.
//!
//! * [`Process::start`]: a process group of its own; standard input is the lifeline, a pipe whose other end we hold;
//!   standard output and error are one pipe into its log.
//! * The process itself is watched: a pipe can be held open by a descendant that outlives it.
//! * When it has ended it is left a zombie until nothing else of it is left: the zombie keeps the group's number from being
//!   given to strangers. What else belongs to it is known by its group, by the mark in its environment, by its parents, and by
//!   having been seen ([`Kin`]).

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
use crate::supervisor::cgroup::{CONTROL_GROUP, Group};
use crate::supervisor::children::{self, Started};
use crate::supervisor::exit::{ProcessExit, Usage};
use crate::supervisor::kin::Kin;
use crate::supervisor::limits::LIMITS;
use crate::supervisor::listeners::Inheritance;
use crate::supervisor::lock::Claim;
use crate::supervisor::logs::Output;
use crate::supervisor::oom::{Oom, OomWatch};
use crate::supervisor::proc;
use crate::supervisor::spec::{ComponentSpec, Launch};
use crate::supervisor::sweep::{self, RUN};

/// A child process that has not been reaped.
#[derive(Debug)]
pub(super) struct Process {
    pid: Pid,
    watch: Watch,
    child: Child,
    started: Instant,
    /// The launcher's end of the lifeline. Its closing tells the child, and every descendant that kept the other end.
    _lifeline: PipeWriter,
    /// The process that serves in its place, once it has ended.
    daemon: Option<Daemon>,
    /// The group of that process, for whoever belongs to it.
    daemon_group: Arc<AtomicU32>,
    /// All that belongs to it, wherever it went.
    kin: Kin,
    /// How many the kernel had killed for lack of memory before.
    oom: OomWatch,
    _registered: Started,
}

/// What became of the search for the process that serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Followed {
    /// Nothing names one of its own yet.
    NotYet,
    /// It has this number.
    Found(u32),
}

/// What a process is started with, besides what its component says.
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

/// The end of a process.
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
        if let Some(patience) = spec.watchdog {
            command.env("WATCHDOG_USEC", patience.as_micros().to_string());
        }
        command.stdin(stdin).stdout(output.stdout).stderr(output.stderr).process_group(0);
        sockets.give_to(&mut command)?;
        let child = claim.lend(|| command.spawn()).map_err(|error| named(&error, spec))?;
        let pid = Pid::from_child(&child);
        if let Some(Err(error)) = group.as_ref().map(|group| group.take(number(pid))) {
            tracing::warn!(component = spec.name, %error, "it is in no control group");
        }
        let daemon_group = Arc::<AtomicU32>::default();
        match Watch::on(pid) {
            Ok(watch) => Ok(Self {
                pid,
                watch,
                child,
                started: Instant::now(),
                _lifeline: lifeline,
                oom: OomWatch::begin(),
                kin: kin(number(pid), Arc::clone(&daemon_group), sweep::mark(run_id, &spec.name))
                    .within(group),
                daemon: None,
                daemon_group,
                _registered: Started::main(number(pid)),
            }),
            Err(error) => Err(give_up(child, error)),
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
        let members = self.kin.look();
        if members.is_empty() {
            return None;
        }
        let named = daemon::read(pid_file).filter(|pid| members.contains_key(pid));
        let pid = named.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        // One that ends just now is not there at the next look.
        let Some(Ok(daemon)) = pid.map(Daemon::follow) else { return Some(Followed::NotYet) };
        self.daemon_group.store(number(daemon.group()), Ordering::Relaxed);
        let pid = number(daemon.pid());
        self.daemon = Some(daemon);
        Some(Followed::Found(pid))
    }

    /// Asks all of it to end; what is stopped must be woken to hear it.
    pub(super) fn terminate(&mut self, signal: Signal) {
        self.signal(&[signal, Signal::CONT]);
    }

    /// Ends all of it.
    pub(super) fn kill(&mut self) {
        self.kin.kill_group();
        self.signal(&[Signal::KILL]);
    }

    /// Waits until the process has ended. It is a zombie then.
    pub(super) async fn ended(&self) {
        match &self.daemon {
            Some(daemon) => daemon.ended().await,
            None => self.watch.ended().await,
        }
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.daemon.as_ref().map_or_else(|| self.watch.has_ended(), Daemon::has_ended)
    }

    /// How it ended, once it has.
    pub(super) fn exit(&self) -> ProcessExit {
        self.daemon.as_ref().map_or_else(|| self.watch.exit(), Daemon::exit)
    }

    /// How long ago it was started.
    pub(super) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Whether anything else of it runs.
    pub(super) fn has_others(&mut self) -> bool {
        !self.kin.look().is_empty()
    }

    /// Who else of it ran at the last look, for the operator.
    pub(super) fn describe_others(&self) -> String {
        self.kin.describe()
    }

    /// Itself, which still runs, for the operator.
    pub(super) fn describe(&self) -> String {
        proc::describe(self.main())
    }

    /// Waits until all else of it that was seen has ended, but not for long: there may be others by then.
    pub(super) async fn others_ended(&self) {
        self.kin.ended(Duration::MAX).await;
    }

    /// Reaps the process, when nothing else of it is left.
    pub(super) fn reap(mut self, lived: Duration) -> Death {
        // Where nothing tells what there is, at least the group has gone.
        let _ = kill_process_group(self.pid, Signal::KILL);
        // It is a zombie, so this does not wait.
        let (exit, usage) = match self.child.wait4() {
            Ok(end) => {
                let used = end.rusage;
                let usage = Usage { user: used.utime, system: used.stime, max_rss: used.maxrss };
                (ProcessExit::of(end.status), Some(usage))
            }
            Err(_) => (ProcessExit::Unknown, None),
        };
        // What is known of its use is that of the process that has started it.
        let exit = self.daemon.take().map_or(exit, |daemon| {
            let exit = daemon.exit();
            daemon.reap();
            exit
        });
        let oom = self.oom.end(exit, self.kin.oom_kills());
        Death { exit, usage, lived, oom }
    }

    /// The process is not reaped as long as we have it, so its number and its group's are its own.
    fn signal(&mut self, signals: &[Signal]) {
        let group = self.id();
        let others = self.kin.look();
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

/// What belongs to a main process. A child of ours that is none of it, such as a probe, has a group of its own.
fn kin(main: u32, daemon: Arc<AtomicU32>, mark: String) -> Kin {
    let belongs = move |pid: u32, entry: &proc::Entry| {
        // Until there is one it is 0, which is the group of the kernel's own threads.
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
    Kin::new(Some(main), Box::new(belongs))
}

fn command(spec: &ComponentSpec, run_id: Uuid) -> io::Result<Command> {
    let Launch::Command { program, args, .. } = &spec.launch else { return Err(not_part()) };
    dress(program, args, spec, run_id)
}

/// A program in a component's environment, with its mark.
pub(super) fn dress(
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
    // What our own supervisor asks of us it does not ask of our children.
    for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
        command.env_remove(name);
    }
    command.envs(env.iter().map(|(name, value)| (name, value))).env(RUN, format!("{run_id}/{}", spec.name));
    if let Some(cwd) = cwd {
        command.current_dir(cwd);
    }
    Ok(command)
}

/// What a start fails with says neither which file nor which directory it is about.
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

/// A child that cannot be watched is no child.
fn give_up(mut child: Child, error: io::Error) -> io::Error {
    let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    let _ = child.wait();
    error
}
