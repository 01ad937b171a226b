//! Ensures that one launcher uses a data directory.
//!
//! There are two locks in `run/`, both `flock(2)`, so that the kernel releases them however their holder ends:
//! * `launcher.lock` is the launcher's own. Its holder writes its process id into it, for people only.
//! * `children.lock` is inherited by every process we start and by their descendants. If a launcher cannot take it, processes of an earlier
//!   launcher are still running. It contains the run's id, which identifies them ([`super::sweep`]).

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kit::{Exit, Failure};
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use tokio::time::Instant;
use uuid::Uuid;

use super::listeners::RESERVED_END;
use super::proc;
use super::run_dir::{private_dir, run_dir};
use super::sweep;

/// The file of the launcher's lock, in the run directory.
pub(crate) const LAUNCHER_LOCK: &str = "launcher.lock";

/// The file of the lock that children inherit.
const CHILDREN_LOCK: &str = "children.lock";

/// Time limit for components of a launcher that was killed to end by themselves; they do so within 2.5 s.
const ORPHANS_END: Duration = Duration::from_secs(3);

/// A process that checks whether a launcher is running holds its lock for a moment.
const TOUCH: Duration = Duration::from_millis(300);

/// The interval of polling their end.
const POLL: Duration = Duration::from_millis(20);

/// The maximum size of a lock file.
const MAX_CONTENT: u64 = 5000;

/// Exclusive use of a data directory by this launcher, until dropped.
#[derive(Debug)]
pub struct DataLock {
    data: PathBuf,
    launcher: File,
}

/// Exclusive use of a data directory: while it lives, no other launcher and no process of an earlier one is running there.
#[derive(Debug)]
pub struct Claim {
    data: PathBuf,
    launcher: File,
    children: File,
}

/// Why a data directory cannot be claimed.
#[derive(Debug, thiserror::Error)]
enum ClaimError {
    #[error("a launcher is already running on the data directory {}{holder}", data.display())]
    Running { data: PathBuf, holder: String },
    #[error("cannot use the data directory {}", path.display())]
    Directory { path: PathBuf, source: io::Error },
    #[error("cannot lock {}", path.display())]
    Lock { path: PathBuf, source: io::Error },
    #[error("processes of an earlier launcher on {} are still running, and this user cannot stop them: {processes}", data.display())]
    Orphans { data: PathBuf, processes: String },
}

impl DataLock {
    /// Locks a data directory, which is created if necessary.
    ///
    /// # Errors
    /// [`kit::Exit::AlreadyRunning`] with the other launcher's process id; any other if the directory cannot be used.
    pub fn take(data: &Path) -> Result<Self, Failure> {
        let run = run_dir(data);
        make_directories(data, &run)
            .map_err(|source| ClaimError::Directory { path: data.to_owned(), source })?;
        let launcher = take_launcher_lock(data, &run.join(LAUNCHER_LOCK))?;
        Ok(Self { data: data.to_owned(), launcher })
    }

    /// Ends processes of an earlier launcher that was killed. Must be called before ports are checked: these may occupy them.
    ///
    /// # Errors
    /// If a process cannot be ended, or its lock cannot be taken.
    pub async fn claim(&self) -> Result<Claim, Failure> {
        let children = take_children_lock(&self.data, &run_dir(&self.data).join(CHILDREN_LOCK)).await?;
        // Children need its descriptor number for sockets; any duplicate is the same lock.
        let children = fcntl_dupfd_cloexec(&children, RESERVED_END).map_err(io::Error::from)?.into();
        // The duplicates share one lock.
        Ok(Claim { data: self.data.clone(), launcher: self.launcher.try_clone()?, children })
    }
}

/// The control group of the launcher running on a data directory, or of the last one.
pub fn control_group(data: &Path) -> Option<PathBuf> {
    let mut file = File::open(run_dir(data).join(CHILDREN_LOCK)).ok()?;
    Earlier::read(&mut file).group
}

impl Claim {
    /// Records the run id and the control group of our processes, for a later launcher: a line each.
    pub(super) fn sign(&mut self, run_id: Uuid, group: Option<&Path>) -> io::Result<()> {
        let group = group.map(|path| path.display().to_string()).unwrap_or_default();
        write_content(&mut self.children, &format!("{run_id}\n{group}\n"))
    }

    /// Whether the lock still excludes other launchers: its file is at its path.
    pub(super) fn is_in_place(&self) -> bool {
        let there = std::fs::metadata(run_dir(&self.data).join(LAUNCHER_LOCK));
        let held = self.launcher.metadata();
        let id = |meta: &std::fs::Metadata| (meta.dev(), meta.ino());
        matches!((there, held), (Ok(there), Ok(held)) if id(&there) == id(&held))
    }

    /// Takes the locks again after their files were deleted. Running children hold the deleted one.
    pub(super) fn renew(&mut self) -> Result<(), Failure> {
        let run = run_dir(&self.data);
        let mark = read_content(&mut self.children);
        self.launcher = take_launcher_lock(&self.data, &run.join(LAUNCHER_LOCK))?;
        let path = run.join(CHILDREN_LOCK);
        let mut children = open(&path)?;
        children.try_lock().map_err(|error| ClaimError::Lock { path, source: error.into() })?;
        write_content(&mut children, &mark)?;
        self.children = fcntl_dupfd_cloexec(&children, RESERVED_END).map_err(io::Error::from)?.into();
        Ok(())
    }

    /// Runs `start` while the children's lock is inheritable.
    pub(super) fn lend<T>(&self, start: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        fcntl_setfd(&self.children, FdFlags::empty())?;
        let result = start();
        fcntl_setfd(&self.children, FdFlags::CLOEXEC)?;
        result
    }
}

/// New directories are private; an existing one keeps its mode, except `run`.
fn make_directories(data: &Path, run: &Path) -> io::Result<()> {
    kit::files::make_directory(data)?;
    private_dir(run)
}

fn take_launcher_lock(data: &Path, path: &Path) -> Result<File, Failure> {
    let mut file = open(path)?;
    let deadline = std::time::Instant::now() + TOUCH;
    let mut lock = file.try_lock();
    while matches!(lock, Err(TryLockError::WouldBlock)) && std::time::Instant::now() < deadline {
        std::thread::sleep(POLL);
        lock = file.try_lock();
    }
    match lock {
        Ok(()) => {
            let signed = write_content(&mut file, &std::process::id().to_string());
            signed.map_err(|source| ClaimError::Lock { path: path.to_owned(), source })?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let pid = read_content(&mut file).trim().parse::<u32>();
            let holder = pid.map(|pid| format!(" (process {pid})")).unwrap_or_default();
            Err(Failure::new(Exit::AlreadyRunning, ClaimError::Running { data: data.to_owned(), holder }))
        }
        Err(TryLockError::Error(source)) => Err(ClaimError::Lock { path: path.to_owned(), source }.into()),
    }
}

async fn take_children_lock(data: &Path, path: &Path) -> Result<File, Failure> {
    let mut file = open(path)?;
    let earlier = Earlier::read(&mut file);
    if !is_free(&file, path, ORPHANS_END).await? {
        tracing::warn!(data = %data.display(), "processes of an earlier launcher are still running; stopping them");
        sweep::end(earlier.run_id, Some(&file), earlier.group.as_deref()).await;
    } else if earlier.run_id.is_some() {
        // A process that has closed the lock is still identified by its mark or its control group.
        sweep::end(earlier.run_id, None, earlier.group.as_deref()).await;
    }
    if is_free(&file, path, Duration::ZERO).await? {
        return Ok(file);
    }
    let found = sweep::find(earlier.run_id, Some(&file), earlier.group.as_deref());
    Err(ClaimError::Orphans { data: data.to_owned(), processes: named(&found, path) }.into())
}

/// Describes the processes, and what the operator can do.
fn named(pids: &[u32], lock: &Path) -> String {
    if pids.is_empty() {
        return format!(
            "they belong to another user; find them with 'sudo fuser -v {}' and stop them",
            lock.display()
        );
    }
    let processes: Vec<String> = pids.iter().map(|pid| proc::describe(*pid)).collect();
    let numbers: Vec<String> = pids.iter().map(ToString::to_string).collect();
    format!("{}; stop them with 'sudo kill -9 {}'", processes.join(", "), numbers.join(" "))
}

/// What an earlier launcher recorded about its processes.
struct Earlier {
    run_id: Option<Uuid>,
    group: Option<PathBuf>,
}

impl Earlier {
    fn read(file: &mut File) -> Self {
        let content = read_content(file);
        let mut lines = content.lines();
        let run_id = lines.next().and_then(|line| line.trim().parse().ok());
        Self { run_id, group: lines.next().filter(|line| !line.is_empty()).map(PathBuf::from) }
    }
}

/// Locks the file if that is possible within a time limit.
async fn is_free(file: &File, path: &Path, timeout: Duration) -> Result<bool, ClaimError> {
    let deadline = Instant::now() + timeout;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return Ok(false),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(POLL).await,
            Err(TryLockError::Error(source)) => {
                return Err(ClaimError::Lock { path: path.to_owned(), source });
            }
        }
    }
}

fn open(path: &Path) -> Result<File, ClaimError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    kit::files::open(path, &mut options).map_err(|source| ClaimError::Lock { path: path.to_owned(), source })
}

fn read_content(file: &mut File) -> String {
    let mut content = String::new();
    // A file that cannot be read has no ids.
    let _ = file.rewind();
    let _ = file.take(MAX_CONTENT).read_to_string(&mut content);
    content
}

fn write_content(file: &mut File, content: &str) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(content.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn there_is_one_launcher_and_it_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let claim = DataLock::take(dir.path()).unwrap().claim().await.unwrap();
        let failure = DataLock::take(dir.path()).unwrap_err();
        assert_eq!(failure.exit(), Exit::AlreadyRunning);
        assert!(failure.to_string().contains(&format!("(process {})", std::process::id())), "{failure}");
        drop(claim);
        DataLock::take(dir.path()).unwrap();
    }

    #[test]
    fn a_look_at_the_lock_is_no_launcher() {
        let dir = tempfile::tempdir().unwrap();
        drop(DataLock::take(dir.path()).unwrap());
        let held = File::open(run_dir(dir.path()).join(LAUNCHER_LOCK)).unwrap();
        held.lock_shared().unwrap();
        let looker = std::thread::spawn(move || {
            std::thread::sleep(TOUCH / 3);
            drop(held);
        });
        DataLock::take(dir.path()).unwrap();
        looker.join().unwrap();
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "").unwrap();
        let failure = DataLock::take(&path).unwrap_err();
        assert!(failure.to_string().contains("cannot use the data directory"), "{failure}");
    }
}
