//! Finds and ends what a launcher that died left behind.
//!
//! A process is one of ours if it carries the run's mark in its environment, if it holds the very lock that only our
//! processes inherit, or if such a one has started it; nothing else is ever touched ([`Kin`]).

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use uuid::Uuid;

use super::cgroup::Group;
use super::kin::Kin;
use super::proc;

/// The environment variable by which a process of ours is known: `<run id>/<component>`.
pub const RUN: &str = "P2P_RUN";

/// How long they may take to end after TERM.
const GRACE: Duration = Duration::from_secs(1);

/// How long they may take after the end of their launcher. Components drain within 1.5 s, and all of it is to be over within 3 s, on
/// a machine that has much else to do, too.
const ORPHANS_GRACE: Duration = Duration::from_millis(1600);

/// How long the kernel may take to end them after KILL.
const KILL_PATIENCE: Duration = Duration::from_secs(2);

/// How often the guard looks for orphans that nothing but their parent, the launcher, tells to be its own.
const LOOK: Duration = Duration::from_secs(2);

/// Processes, each with the time of its start: its number alone may become another's.
type Seen = BTreeSet<(u32, u64)>;

/// How long after that it is looked for processes once more.
const LATECOMERS: Duration = Duration::from_millis(200);

/// Waits for the end of whoever holds the other end of our standard input, and then ends every process of its run.
///
/// Components end by themselves then; what does not within [`ORPHANS_GRACE`] is killed.
///
/// # Errors
/// When standard input is not a pipe.
pub async fn guard(run_id: Uuid, group: Option<&Path>) -> io::Result<()> {
    // Caught, these do not end us: only the end of the launcher does.
    let _caught =
        [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()]
            .map(signal);
    let mut lifeline = pipe::Receiver::from_owned_fd(rustix::stdio::stdin().try_clone_to_owned()?)?;
    let mut buffer = [0; 64];
    let mut seen = Seen::default();
    let launcher = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
    loop {
        // A control group knows them better.
        match tokio::time::timeout(LOOK, lifeline.read(&mut buffer)).await {
            Ok(Ok(0) | Err(_)) => break,
            Ok(Ok(_)) => {}
            Err(_) if group.is_some() => {}
            Err(_) => seen = launcher.map(unmarked_children).unwrap_or_default(),
        }
    }
    end_within(ORPHANS_GRACE, Some(run_id), None, group, &seen).await;
    // What was about to be started when the launcher ended has its mark only now.
    tokio::time::sleep(LATECOMERS).await;
    end_within(Duration::ZERO, Some(run_id), None, group, &seen).await;
    Ok(())
}

/// The orphans among a launcher's children: those that it has started itself have its mark. What is ours has none either.
fn unmarked_children(launcher: u32) -> Seen {
    let unmarked = proc::children(launcher).into_iter().filter(|pid| *pid != proc::own() && !is_marked(*pid));
    unmarked.filter_map(|pid| Some((pid, proc::entry(pid)?.started))).collect()
}

/// Ends every process of a run, or that holds a lock, or is in a control group: TERM, a second, KILL. Returns when they are gone or cannot
/// be killed.
pub(super) async fn end(run_id: Option<Uuid>, lock: Option<&File>, group: Option<&Path>) {
    end_within(GRACE, run_id, lock, group, &Seen::default()).await;
}

async fn end_within(
    grace: Duration,
    run_id: Option<Uuid>,
    lock: Option<&File>,
    group: Option<&Path>,
    seen: &Seen,
) {
    let mut kin = strays(run_id, lock, group, seen);
    for (signal, patience) in [(Signal::TERM, grace), (Signal::KILL, KILL_PATIENCE)] {
        let deadline = Instant::now() + patience;
        let mut told: BTreeSet<u32> = BTreeSet::new();
        loop {
            if signal == Signal::KILL {
                kin.kill_group();
            }
            // Looked for again each time: what is told to end may start others first.
            let strays = kin.look();
            if strays.is_empty() {
                return;
            }
            for (pid, stray) in strays {
                if told.insert(*pid) {
                    tracing::warn!(pid, ?signal, "stopping a process of an earlier run");
                } else if signal != Signal::KILL {
                    continue;
                }
                stray.send(signal);
                stray.send(Signal::CONT);
            }
            if Instant::now() >= deadline {
                break;
            }
            kin.ended(deadline.saturating_duration_since(Instant::now())).await;
        }
    }
}

/// Whether a process has the mark of any run, in its environment.
pub(super) fn is_marked(pid: u32) -> bool {
    proc::has_variable(pid, |variable| variable.starts_with(RUN.as_bytes()))
}

/// By what the processes of one component are known.
pub(super) fn mark(run_id: Uuid, component: &str) -> String {
    format!("{RUN}={run_id}/{component}")
}

/// The processes of a run, or that hold a lock, or are in a control group.
pub(super) fn find(run_id: Option<Uuid>, lock: Option<&File>, group: Option<&Path>) -> Vec<u32> {
    strays(run_id, lock, group, &Seen::default()).look().keys().copied().collect()
}

fn strays(run_id: Option<Uuid>, lock: Option<&File>, group: Option<&Path>, seen: &Seen) -> Kin {
    let seen = seen.clone();
    let (mark, lock) = (run_id.map(|id| format!("{RUN}={id}/")), lock.and_then(|file| file.metadata().ok()));
    Kin::new(
        None,
        Box::new(move |pid, entry| {
            let is_marked =
                |mark: &String| proc::has_variable(pid, |variable| variable.starts_with(mark.as_bytes()));
            seen.contains(&(pid, entry.started))
                || mark.as_ref().is_some_and(is_marked)
                || lock.as_ref().is_some_and(|lock| holds(pid, lock))
        }),
    )
    .within(group.and_then(Group::at))
}

/// Whether the process holds this lock, not just has the file open: the kernel says so in `fdinfo`.
fn holds(pid: u32, lock: &Metadata) -> bool {
    let directory = format!("/proc/{pid}");
    let descriptors = fs::read_dir(format!("{directory}/fd")).into_iter().flatten().flatten();
    descriptors.into_iter().any(|descriptor| {
        let same = fs::metadata(descriptor.path())
            .is_ok_and(|meta| (meta.dev(), meta.ino()) == (lock.dev(), lock.ino()));
        let info = || {
            let path = format!("{directory}/fdinfo/{}", descriptor.file_name().to_string_lossy());
            fs::read_to_string(path).unwrap_or_default()
        };
        same && info().lines().any(|line| line.starts_with("lock:") && line.contains("FLOCK"))
    })
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// A process that says when its traps are set, and does not mind TERM.
    fn stubborn(run: &str) -> Child {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "trap '' TERM; echo up; while :; do sleep 1; done"]).env(RUN, run);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut up = [0; 3];
        io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut up).unwrap();
        child
    }

    #[tokio::test]
    async fn marked_processes_are_ended_and_others_are_not() {
        let (ours, theirs) = (Uuid::new_v4(), Uuid::new_v4());
        let mut marked = stubborn(&format!("{ours}/chat"));
        let mut other = stubborn(&format!("{theirs}/chat"));
        assert!(find(Some(ours), None, None).contains(&marked.id()));
        end(Some(ours), None, None).await;
        assert!(marked.wait().unwrap().code().is_none(), "it was killed");
        assert!(other.try_wait().unwrap().is_none(), "it lives");
        end(Some(theirs), None, None).await;
        other.wait().unwrap();
        assert!(find(Some(ours), None, None).is_empty());
    }

    #[tokio::test]
    async fn who_holds_the_lock_is_known_without_a_mark() {
        let dir = tempfile::tempdir().unwrap();
        let lock = File::create(dir.path().join("lock")).unwrap();
        let path = dir.path().join("lock");
        let mut holder = Command::new("flock").arg(&path).args(["-c", "exec sleep 600"]).spawn().unwrap();
        let mut reader =
            Command::new("/bin/sh").args(["-c", "exec sleep 600 < \"$0\""]).arg(&path).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while lock.try_lock().is_ok() {
            lock.unlock().unwrap();
            assert!(Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        end(None, Some(&lock), None).await;
        holder.wait().unwrap();
        lock.try_lock().unwrap();
        assert!(reader.try_wait().unwrap().is_none(), "who only reads the file lives");
        reader.kill().unwrap();
        reader.wait().unwrap();
    }
}
