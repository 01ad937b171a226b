//! Finds and ends processes of an earlier launcher that was killed.
//!
//! A process is ours if it has the run's mark in its environment, if it holds the lock that only our processes inherit, or if it descends
//! from such a process ([`ProcessTree`]). No other process is ever touched.

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
use super::proc;
use super::process_tree::ProcessTree;

/// The environment variable that marks our processes: `<run id>/<component>`.
pub const RUN: &str = "P2P_RUN";

/// Time limit to end after TERM.
const GRACE: Duration = Duration::from_secs(1);

/// Time limit to end after the end of their launcher. Components drain within 1.5 s, and everything must be over within 3 s, also on a busy
/// machine.
const ORPHANS_GRACE: Duration = Duration::from_millis(1600);

/// Time limit to end after KILL.
const KILL_TIMEOUT: Duration = Duration::from_secs(2);

/// The interval at which the guard searches for orphans that only their parent, the launcher, identifies.
const ORPHAN_INTERVAL: Duration = Duration::from_secs(2);

/// The number of searches in which each child is read once.
const TURNS: u32 = 8;

/// Processes with their start time, because an id may be reused.
type Seen = BTreeSet<(u32, u64)>;

/// After this time processes are searched once more.
const LATECOMERS: Duration = Duration::from_millis(200);

/// Waits for the end of standard input, and then ends every process of the run.
///
/// Components end by themselves then; those that do not within [`ORPHANS_GRACE`] are killed.
///
/// # Errors
/// If standard input is not a pipe.
pub async fn guard(run_id: Uuid, group: Option<&Path>) -> io::Result<()> {
    // Once handled, these signals do not end us: only the end of the launcher does.
    let _caught =
        [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()]
            .map(signal);
    let mut lifeline = pipe::Receiver::from_owned_fd(rustix::stdio::stdin().try_clone_to_owned()?)?;
    let mut buffer = [0; 64];
    let mut children = Children::default();
    let launcher = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
    loop {
        // A control group identifies them better.
        match tokio::time::timeout(ORPHAN_INTERVAL, lifeline.read(&mut buffer)).await {
            Ok(Ok(0) | Err(_)) => break,
            Ok(Ok(_)) => {}
            Err(_) if group.is_some() => {}
            Err(_) => {
                let listed = launcher.map(proc::children).unwrap_or_default();
                children.look(listed.into_iter().filter(|pid| *pid != proc::own()), unmarked);
            }
        }
    }
    let seen = children.unmarked;
    end_within(ORPHANS_GRACE, Some(run_id), None, group, &seen).await;
    // A process that was being started when the launcher ended has its mark only now.
    tokio::time::sleep(LATECOMERS).await;
    end_within(Duration::ZERO, Some(run_id), None, group, &seen).await;
    Ok(())
}

/// The launcher's children, as the guard knows them.
///
/// To read the environment of each at every search would cost more than all else that an idle launcher does. So those that were there at the
/// search before are read in turn, [`TURNS`] searches for all of them: a process loses its mark only by executing a program without it.
#[derive(Debug, Default)]
struct Children {
    known: BTreeSet<u32>,
    /// The orphans among them, which have no mark, unlike those that the launcher has started itself.
    unmarked: Seen,
    searches: u32,
}

impl Children {
    /// These are there now; `read` returns the start time of one without a mark.
    fn look(&mut self, pids: impl Iterator<Item = u32>, mut read: impl FnMut(u32) -> Option<u64>) {
        let pids: BTreeSet<u32> = pids.collect();
        self.searches = self.searches.wrapping_add(1);
        let turn = self.searches % TURNS;
        let is_read = |pid: &u32| !self.known.contains(pid) || pid % TURNS == turn;
        let (new, old): (BTreeSet<u32>, BTreeSet<u32>) = pids.iter().partition(|pid| is_read(pid));
        self.unmarked.retain(|(pid, _)| old.contains(pid));
        self.unmarked.extend(new.into_iter().filter_map(|pid| Some((pid, read(pid)?))));
        self.known = pids;
    }
}

/// When a process started, unless it has a mark.
fn unmarked(pid: u32) -> Option<u64> {
    let entry = proc::entry(pid)?;
    (!is_marked(pid)).then_some(entry.started)
}

/// Ends every process of a run, or that holds a lock, or is in a control group: TERM, a second, KILL. Returns when they have ended or
/// cannot be killed.
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
    let mut process_tree = strays(run_id, lock, group, seen);
    for (signal, timeout) in [(Signal::TERM, grace), (Signal::KILL, KILL_TIMEOUT)] {
        let deadline = Instant::now() + timeout;
        let mut told: BTreeSet<u32> = BTreeSet::new();
        loop {
            if signal == Signal::KILL {
                process_tree.kill_group();
            }
            // Searched again each time, because a process may start others before it ends.
            let strays = process_tree.search();
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
            process_tree.ended(deadline.saturating_duration_since(Instant::now())).await;
        }
    }
}

/// Whether a process has the mark of any run in its environment.
pub(super) fn is_marked(pid: u32) -> bool {
    proc::has_variable(pid, |variable| variable.starts_with(RUN.as_bytes()))
}

/// The mark of one component's processes.
pub(super) fn mark(run_id: Uuid, component: &str) -> String {
    format!("{RUN}={run_id}/{component}")
}

/// The processes of a run, or that hold a lock, or are in a control group.
pub(super) fn find(run_id: Option<Uuid>, lock: Option<&File>, group: Option<&Path>) -> Vec<u32> {
    strays(run_id, lock, group, &Seen::default()).search().keys().copied().collect()
}

fn strays(run_id: Option<Uuid>, lock: Option<&File>, group: Option<&Path>, seen: &Seen) -> ProcessTree {
    let seen = seen.clone();
    let (mark, lock) = (run_id.map(|id| format!("{RUN}={id}/")), lock.and_then(|file| file.metadata().ok()));
    ProcessTree::new(
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

/// Whether the process holds this lock, and not only the open file, according to the kernel's `fdinfo`.
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

    #[test]
    fn only_new_children_are_read_and_a_part_of_the_others() {
        let mut children = Children::default();
        let mut read = Vec::new();
        let mut look = |children: &mut Children, pids: std::ops::Range<u32>, unmarked: u32| {
            read.clear();
            children.look(pids, |pid| {
                read.push(pid);
                (pid == unmarked).then_some(7)
            });
            read.clone()
        };
        assert_eq!(look(&mut children, 100..164, 101).len(), 64);
        assert_eq!(children.unmarked, Seen::from([(101, 7)]));
        let again: BTreeSet<u32> = (0..TURNS)
            .flat_map(|_| {
                let some = look(&mut children, 100..164, 101);
                assert_eq!(some.len(), 8, "{some:?}");
                some
            })
            .collect();
        assert_eq!((again.len(), &children.unmarked), (64, &Seen::from([(101, 7)])));
        // One that is new, and one that has lost its mark.
        assert!(look(&mut children, 100..165, 164).contains(&164));
        assert!(children.unmarked.contains(&(164, 7)));
        (0..TURNS).for_each(|_| _ = look(&mut children, 100..165, 120));
        assert_eq!(children.unmarked, Seen::from([(120, 7)]));
        look(&mut children, 130..165, 120);
        assert!(children.unmarked.is_empty(), "it has ended");
    }

    /// A process that reports that its traps are set, and ignores TERM.
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
