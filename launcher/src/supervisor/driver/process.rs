//! One child process, from its start to the moment when nothing of it is left.
//!
//! * [`Process::start`]: a process group of its own; standard input is the lifeline, a pipe whose other end we hold;
//!   standard output and error are one pipe into its log.
//! * The process itself is watched: a pipe can be held open by a descendant that outlives it.
//! * When it has ended it is left a zombie until the rest of its group is killed: the zombie keeps the group's number from being
//!   given to strangers. Then it is reaped, and the group waited for until it is empty. Who left the group, as with `setsid(1)`, is
//!   known by the mark in its environment.

use std::ffi::OsString;
use std::io::{self, PipeWriter};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::time::Instant;
use uuid::Uuid;
use wait4::Wait4;

use super::groups::sizes;
use super::watch::Watch;
use crate::supervisor::exit::{ProcessExit, Usage};
use crate::supervisor::listeners::Inheritance;
use crate::supervisor::lock::Claim;
use crate::supervisor::spec::{ComponentSpec, Launch};
use crate::supervisor::sweep::{self, RUN};

/// How long a killed group may take to be gone. Only a process stuck in the kernel needs more than milliseconds.
const GROUP_PATIENCE: Duration = Duration::from_secs(1);

/// How often it is looked whether it is.
const GROUP_POLL: Duration = Duration::from_millis(2);

/// A child process that has not been reaped.
#[derive(Debug)]
pub(super) struct Process {
    pid: Pid,
    watch: Watch,
    child: Child,
    started: Instant,
    /// The launcher's end of the lifeline. Its closing tells the child, and every descendant that kept the other end.
    _lifeline: PipeWriter,
    /// By which all its descendants are known, wherever they went.
    mark: String,
}

/// The end of a process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Death {
    pub(super) exit: ProcessExit,
    pub(super) usage: Option<Usage>,
    pub(super) lived: Duration,
}

impl Process {
    /// Starts a component. Its program is running when this returns.
    pub(super) fn start(
        spec: &ComponentSpec,
        run_id: Uuid,
        claim: &Claim,
        notify: &Path,
        output: PipeWriter,
        sockets: Inheritance,
    ) -> io::Result<Self> {
        let (stdin, lifeline) = io::pipe()?;
        let mut command = command(spec, run_id)?;
        command.env("NOTIFY_SOCKET", notify);
        command.env(kit::lifeline::LAUNCHER_PID, std::process::id().to_string());
        if let Some(patience) = spec.watchdog {
            command.env("WATCHDOG_USEC", patience.as_micros().to_string());
        }
        command.stdin(stdin).stdout(output.try_clone()?).stderr(output).process_group(0);
        sockets.give_to(&mut command)?;
        let child = claim.lend(|| command.spawn())?;
        let pid = Pid::from_child(&child);
        match Watch::on(pid) {
            Ok(watch) => Ok(Self {
                pid,
                watch,
                child,
                started: Instant::now(),
                _lifeline: lifeline,
                mark: sweep::mark(run_id, &spec.name),
            }),
            Err(error) => Err(give_up(child, error)),
        }
    }

    pub(super) fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Its process group, which bears its number.
    pub(super) fn group(&self) -> Pid {
        self.pid
    }

    /// Asks the group to end; one that is stopped must be woken to hear it.
    pub(super) fn terminate(&self) {
        self.signal(Signal::TERM);
        self.signal(Signal::CONT);
    }

    /// Ends the group.
    pub(super) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Waits until the process has ended. It is a zombie then.
    pub(super) async fn ended(&self) {
        self.watch.ended().await;
    }

    /// Kills what is left of the group, reaps the process, kills its descendants that left the group, and waits until all are gone.
    pub(super) async fn bury(mut self) -> Death {
        self.kill();
        // It is a zombie, so this does not wait.
        let (exit, usage) = match self.child.wait4() {
            Ok(end) => {
                let used = end.rusage;
                let usage = Usage { user: used.utime, system: used.stime, max_rss: used.maxrss };
                (ProcessExit::of(end.status), Some(usage))
            }
            Err(_) => (ProcessExit::Unknown, None),
        };
        let lived = self.started.elapsed();
        let deadline = Instant::now() + GROUP_PATIENCE;
        while (is_group_alive(self.pid) || sweep::kill(&self.mark)) && Instant::now() < deadline {
            tokio::time::sleep(GROUP_POLL).await;
        }
        Death { exit, usage, lived }
    }

    /// The process is not reaped as long as we have it, so its number and its group's are its own.
    fn signal(&self, signal: Signal) {
        // An empty group needs no signal.
        let _ = kill_process_group(self.pid, signal);
    }
}

/// Whether a process of the group runs. Zombies do not: they are init's to reap, and it may take its time, or never do it. Only
/// Linux tells them apart.
fn is_group_alive(group: Pid) -> bool {
    let runs = || sizes().contains_key(&group.as_raw_nonzero().get().unsigned_abs());
    test_kill_process_group(group).is_ok() && (!cfg!(target_os = "linux") || runs())
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

fn not_part() -> io::Error {
    io::Error::other("it is not part of this run")
}

/// A child that cannot be watched is no child.
fn give_up(mut child: Child, error: io::Error) -> io::Error {
    let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    let _ = child.wait();
    error
}
