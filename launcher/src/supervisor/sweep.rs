//! Finds and ends what a launcher that died left behind.
//!
//! A process is one of ours if it carries the run's mark in its environment, or if it holds the very lock that only our
//! processes inherit; nothing else is ever touched. It is held by a pidfd taken before it is looked at, so that a signal can
//! never reach another that was given the same number.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use uuid::Uuid;

/// The environment variable by which a process of ours is known: `<run id>/<component>`.
pub const RUN: &str = "P2P_RUN";

/// How long they may take to end after TERM.
const GRACE: Duration = Duration::from_secs(1);

/// How long they may take after the end of their launcher. Components drain within 1.5 s, and all of it is to be over within 3 s, on
/// a machine that has much else to do, too.
const ORPHANS_GRACE: Duration = Duration::from_millis(1600);

/// How long the kernel may take to end them after KILL.
const KILL_PATIENCE: Duration = Duration::from_secs(2);

/// How long after that it is looked for processes once more.
const LATECOMERS: Duration = Duration::from_millis(200);

/// How often it is looked whether they have.
const POLL: Duration = Duration::from_millis(20);

/// Waits for the end of whoever holds the other end of our standard input, and then ends every process of its run.
///
/// Components end by themselves then; what does not within [`ORPHANS_GRACE`] is killed.
///
/// # Errors
/// When standard input is not a pipe.
pub async fn guard(run_id: Uuid) -> io::Result<()> {
    // Caught, these do not end us: only the end of the launcher does.
    let _caught =
        [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()]
            .map(signal);
    let mut lifeline = pipe::Receiver::from_owned_fd(rustix::stdio::stdin().try_clone_to_owned()?)?;
    let mut buffer = [0; 64];
    while !matches!(lifeline.read(&mut buffer).await, Ok(0) | Err(_)) {}
    end_within(ORPHANS_GRACE, Some(run_id), None).await;
    // What was about to be started when the launcher ended has its mark only now.
    tokio::time::sleep(LATECOMERS).await;
    end_within(Duration::ZERO, Some(run_id), None).await;
    Ok(())
}

/// Ends every process of a run, or that holds a lock: TERM, a second, KILL. Returns when they are gone or cannot be killed.
pub(super) async fn end(run_id: Option<Uuid>, lock: Option<&File>) {
    end_within(GRACE, run_id, lock).await;
}

async fn end_within(grace: Duration, run_id: Option<Uuid>, lock: Option<&File>) {
    for (signal, patience) in [(Signal::TERM, grace), (Signal::KILL, KILL_PATIENCE)] {
        let deadline = Instant::now() + patience;
        let mut told: Vec<Pid> = Vec::new();
        loop {
            // Looked for again each time: what is told to end may start others first.
            let strays = strays(run_id, lock);
            if strays.is_empty() {
                return;
            }
            for stray in strays.iter().filter(|stray| signal == Signal::KILL || !told.contains(&stray.pid)) {
                tracing::warn!(
                    pid = stray.pid.as_raw_nonzero().get(),
                    ?signal,
                    "stopping a process of an earlier run"
                );
                stray.hold.send(signal);
                stray.hold.send(Signal::CONT);
            }
            told.extend(strays.iter().map(|stray| stray.pid));
            if Instant::now() >= deadline {
                break;
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

/// By what the processes of one component are known.
pub(super) fn mark(run_id: Uuid, component: &str) -> String {
    format!("{RUN}={run_id}/{component}")
}

/// Kills every process with this mark; true if there was one.
pub(super) fn kill(mark: &str) -> bool {
    let strays = find_all(|directory| is_marked(directory, |variable| variable == mark.as_bytes()));
    strays.iter().for_each(|stray| stray.hold.send(Signal::KILL));
    !strays.is_empty()
}

/// The processes of a run, or that hold a lock.
pub(super) fn find(run_id: Option<Uuid>, lock: Option<&File>) -> Vec<i32> {
    strays(run_id, lock).iter().map(|stray| stray.pid.as_raw_nonzero().get()).collect()
}

struct Stray {
    pid: Pid,
    hold: Hold,
}

/// A process, and none that gets its number after it.
#[cfg(target_os = "linux")]
struct Hold(std::os::fd::OwnedFd);

#[cfg(target_os = "linux")]
impl Hold {
    fn on(pid: Pid) -> Option<Self> {
        rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok().map(Self)
    }

    fn send(&self, signal: Signal) {
        // One that has gone needs no signal.
        let _ = rustix::process::pidfd_send_signal(&self.0, signal);
    }
}

/// Where nothing tells what a process has in its environment, none is ever held.
#[cfg(not(target_os = "linux"))]
enum Hold {}

#[cfg(not(target_os = "linux"))]
impl Hold {
    fn on(_: Pid) -> Option<Self> {
        None
    }

    fn send(&self, _: Signal) {
        match *self {}
    }
}

fn strays(run_id: Option<Uuid>, lock: Option<&File>) -> Vec<Stray> {
    let (mark, lock) = (run_id.map(|id| format!("{RUN}={id}/")), lock.and_then(|file| file.metadata().ok()));
    let is_of_the_run = |directory: &str, mark: &String| {
        is_marked(directory, |variable| variable.starts_with(mark.as_bytes()))
    };
    find_all(|directory| {
        mark.as_ref().is_some_and(|mark| is_of_the_run(directory, mark))
            || lock.as_ref().is_some_and(|lock| holds(directory, lock))
    })
}

/// The processes of this user, but for ourselves, that a look into their directories in `/proc` recognises.
fn find_all(is_ours: impl Fn(&str) -> bool) -> Vec<Stray> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok().and_then(Pid::from_raw));
    let (us, user) = (rustix::process::getpid(), rustix::process::geteuid().as_raw());
    pids.filter(|pid| *pid != us)
        .filter_map(|pid| {
            let hold = Hold::on(pid)?;
            let directory = format!("/proc/{}", pid.as_raw_nonzero());
            let is_of_user = fs::metadata(&directory).is_ok_and(|meta| meta.uid() == user);
            (is_of_user && is_ours(&directory)).then_some(Stray { pid, hold })
        })
        .collect()
}

/// Whether the process was started with the mark. A zombie has no environment any more, and is no stray.
fn is_marked(directory: &str, is_mark: impl Fn(&[u8]) -> bool) -> bool {
    let environment = fs::read(format!("{directory}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(is_mark)
}

/// Whether the process holds this lock, not just has the file open: the kernel says so in `fdinfo`.
fn holds(directory: &str, lock: &Metadata) -> bool {
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
        assert!(find(Some(ours), None).contains(&(marked.id() as i32)));
        end(Some(ours), None).await;
        assert!(marked.wait().unwrap().code().is_none(), "it was killed");
        assert!(other.try_wait().unwrap().is_none(), "it lives");
        end(Some(theirs), None).await;
        other.wait().unwrap();
        assert!(find(Some(ours), None).is_empty());
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
            tokio::time::sleep(POLL).await;
        }
        end(None, Some(&lock)).await;
        holder.wait().unwrap();
        lock.try_lock().unwrap();
        assert!(reader.try_wait().unwrap().is_none(), "who only reads the file lives");
        reader.kill().unwrap();
        reader.wait().unwrap();
    }
}
