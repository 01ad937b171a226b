//! Control groups (cgroup v2, `cgroups(7)`): where they can be created, each component's processes are in one of their own. No process can
//! leave it by itself, and all in it can be killed at once, including those being started meanwhile.
//!
//! A controller is used only where a limit is set. For that it must be enabled in every group above, and a group that has processes of
//! its own can hand on none: where our own is such a group we move into one below it first.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use uuid::Uuid;

use super::proc;

/// Names the control group for a child that will execute another program: it moves itself there first ([`join`]), because that program may
/// have started others by the time that we have moved it.
pub(super) const CONTROL_GROUP: &str = "P2P_CONTROL_GROUP";

/// The maximum depth of nested groups that is searched; components may create some.
const MAX_DEPTH: usize = 8;

/// The control groups of one run; removed when dropped, if empty.
#[derive(Debug)]
pub(super) struct Realm(Group);

impl Realm {
    /// Creates the group of a run below our own group.
    pub(super) fn make(run_id: Uuid) -> io::Result<Self> {
        let own = own_directory()
            .ok_or_else(|| io::Error::other("this process has no cgroup v2 that it can see"))?;
        let realm = Self(Group::make(own.join(format!("p2p-{run_id}")))?);
        // Available since Linux 5.14.
        if !realm.0.0.join("cgroup.kill").exists() {
            return Err(io::Error::other("this kernel has no cgroup.kill"));
        }
        Ok(realm)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0.0
    }

    /// Creates the group of one incarnation, or takes the one that its predecessor has made for it.
    pub(super) fn group(&self, component: &str, epoch: u64) -> io::Result<Group> {
        let path = self.path().join(format!("{component}.{epoch}"));
        match fs::create_dir(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            Ok(()) | Err(_) => Ok(Group(path)),
        }
    }

    /// Enables a controller for the groups of all incarnations.
    ///
    /// # Errors
    /// Why it is not available.
    pub(super) fn enable(&self, controller: &str) -> Result<(), String> {
        let own = self.path().parent().ok_or("the run's control group has no parent")?;
        if !has_controller(own, controller)? {
            return Err(format!("no {controller} controller in {}", own.display()));
        }
        if enable(own, controller).is_err_and(|error| error.raw_os_error() == Some(BUSY)) {
            step_aside(own)?;
        }
        let cannot = |error: io::Error| format!("cannot enable the {controller} controller: {error}");
        enable(own, controller).map_err(cannot)?;
        enable(self.path(), controller).map_err(cannot)
    }
}

/// Held while this process is moved, also where it is moved to where it is.
static OWN_GROUP: Mutex<()> = Mutex::new(());

/// `EBUSY`: the group has processes of its own.
const BUSY: i32 = rustix::io::Errno::BUSY.raw_os_error();

/// The controllers that can be delegated: those of our own group.
#[must_use]
pub fn controllers() -> Vec<String> {
    let own = own_directory().and_then(|own| fs::read_to_string(own.join("cgroup.controllers")).ok());
    own.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

fn has_controller(group: &Path, controller: &str) -> Result<bool, String> {
    let text = fs::read_to_string(group.join("cgroup.controllers")).map_err(|error| error.to_string())?;
    Ok(text.split_whitespace().any(|name| name == controller))
}

fn enable(group: &Path, controller: &str) -> io::Result<()> {
    write(&group.join("cgroup.subtree_control"), &format!("+{controller}"))
}

/// Moves this process and its children, such as the guard, into a group below its own. If other processes are in its own group, nothing
/// can be limited.
fn step_aside(own: &Path) -> Result<(), String> {
    let _alone = OWN_GROUP.lock();
    // Those of launchers that have ended; one that is in use is not empty.
    let left = subdirectories(own).filter(|path| is_aside(path));
    left.for_each(|path| _ = fs::remove_dir(path));
    let leaf = own.join(format!("{ASIDE}{}", proc::own()));
    let cannot = |error: io::Error| format!("cannot move the launcher into {}: {error}", leaf.display());
    match fs::create_dir(&leaf) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(cannot(error)),
        Ok(()) | Err(_) => {}
    }
    let (ours, others) = members(own);
    for pid in ours {
        write(&leaf.join("cgroup.procs"), &pid.to_string()).map_err(cannot)?;
    }
    match others {
        0 => Ok(()),
        others => Err(format!(
            "{others} other processes are in the launcher's control group {}; start it in one of its own",
            own.display()
        )),
    }
}

/// Of the processes in a group itself this one and its children, and how many others there are.
fn members(group: &Path) -> (Vec<u32>, usize) {
    let mut all = BTreeSet::new();
    collect(group, 0, &mut all);
    let is_ours =
        |pid: &u32| *pid == proc::own() || proc::entry(*pid).is_some_and(|entry| entry.parent == proc::own());
    let (ours, others): (Vec<u32>, Vec<u32>) = all.into_iter().partition(is_ours);
    (ours, others.len())
}

/// What the groups are called that launchers move into.
const ASIDE: &str = "p2p-launcher-";

fn is_aside(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(ASIDE))
}

/// Writes to an existing file.
fn write(path: &Path, text: &str) -> io::Result<()> {
    io::Write::write_all(&mut fs::OpenOptions::new().write(true).open(path)?, text.as_bytes())
}

/// The directory for the groups of a run.
///
/// # Errors
/// The reason, if there is no cgroup v2, or we may not create groups.
pub fn place() -> Result<PathBuf, String> {
    let realm = Realm::make(Uuid::new_v4()).map_err(|error| error.to_string())?;
    Ok(realm.path().parent().unwrap_or(Path::new("/")).to_owned())
}

/// A control group; removed when dropped, if empty.
#[derive(Debug)]
pub(super) struct Group(PathBuf);

impl Drop for Group {
    fn drop(&mut self) {
        remove(&self.0, MAX_DEPTH);
    }
}

impl Group {
    fn make(path: PathBuf) -> io::Result<Self> {
        fs::create_dir(&path)?;
        Ok(Self(path))
    }

    /// The existing group of another launcher.
    pub(super) fn at(path: &Path) -> Option<Self> {
        path.join("cgroup.procs").is_file().then(|| Self(path.to_owned()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Moves a process into the group; its later children are in it, too. The process must not be reaped before the result is dropped, for
    /// another one could have its id then.
    ///
    /// The kernel lets the writer wait until no processor runs code from before (an RCU grace period, some 8 ms), so a thread does it: the
    /// caller starts and watches other processes.
    pub(super) fn take(&self, pid: u32, component: &str) -> Moving {
        let (path, component) = (self.0.join("cgroup.procs"), component.to_owned());
        let take = move || {
            if let Err(error) = fs::write(path, pid.to_string()) {
                tracing::warn!(component, %error, "it is in no control group");
            }
        };
        let thread = std::thread::Builder::new().name("cgroup".to_owned()).spawn(take);
        let report = |error: &io::Error| tracing::warn!(%error, "no thread for a control group");
        Moving(thread.inspect_err(report).ok())
    }

    /// Prepares the next incarnation's move, while the rest of this one is searched for: makes its group, and lets the kernel begin with the
    /// grace period of [`Self::take`]. A move soon afterwards needs none of its own.
    ///
    /// The group is removed with the run's if there is no next incarnation.
    pub(super) fn expect_successor(&self) {
        if let Some(path) = self.successor() {
            // First: until the grace period is over nobody can make a group, or remove one.
            let _ = fs::create_dir(path);
        }
        let stay = || {
            let _alone = OWN_GROUP.lock();
            if let Some(own) = own_directory() {
                // Only the move is slower without.
                let _ = write(&own.join("cgroup.procs"), "0");
            }
        };
        let _ = std::thread::Builder::new().name("cgroup".to_owned()).spawn(stay);
    }

    /// `web.2` after `web.1`.
    fn successor(&self) -> Option<PathBuf> {
        let (component, epoch) = self.0.file_name()?.to_str()?.rsplit_once('.')?;
        let next = epoch.parse::<u64>().ok()?.checked_add(1)?;
        Some(self.0.with_file_name(format!("{component}.{next}")))
    }

    /// The processes in the group and in groups below it.
    pub(super) fn processes(&self) -> BTreeSet<u32> {
        let mut found = BTreeSet::new();
        collect(&self.0, MAX_DEPTH, &mut found);
        found
    }

    /// Limits the memory of all its processes together; beyond the limit the kernel kills one of them.
    pub(super) fn limit_memory(&self, bytes: u64) -> Result<(), String> {
        self.set("memory.max", &bytes.to_string())
    }

    /// Limits the CPU time of all its processes together.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the configuration allows up to 10,000 processors"
    )]
    pub(super) fn limit_cpu(&self, processors: f64) -> Result<(), String> {
        // In microseconds; the kernel's minimum is a thousand.
        const PERIOD: f64 = 100_000.0;
        let quota = (processors * PERIOD).max(1000.0) as u64;
        self.set("cpu.max", &format!("{quota} {PERIOD}"))
    }

    fn set(&self, file: &str, value: &str) -> Result<(), String> {
        write(&self.0.join(file), value).map_err(|error| format!("cannot set {file}: {error}"))
    }

    /// The number of its processes that the kernel has killed for lack of memory; `None` if that is not counted.
    pub(super) fn oom_kills(&self) -> Option<u64> {
        let events = fs::read_to_string(self.0.join("memory.events")).ok()?;
        events.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
    }

    /// Ends all of them.
    pub(super) fn kill(&self) {
        // If this fails, each process still gets a signal.
        let _ = fs::write(self.0.join("cgroup.kill"), "1");
    }
}

/// A process on its way into a group. Dropping this waits until it is there.
#[derive(Debug)]
pub(super) struct Moving(Option<std::thread::JoinHandle<()>>);

impl Drop for Moving {
    fn drop(&mut self) {
        // The thread does not panic; if it did, the hook has reported it.
        let _ = self.0.take().map(std::thread::JoinHandle::join);
    }
}

/// Moves this process into the control group that its supervisor has named, and removes the name from the environment of `command`.
pub fn join(command: &mut std::process::Command) {
    if let Some(group) = std::env::var_os(CONTROL_GROUP) {
        // The supervisor tries, too, and reports a failure.
        let _ = fs::write(Path::new(&group).join("cgroup.procs"), "0");
    }
    command.env_remove(CONTROL_GROUP);
}

/// The directory of our own group.
fn own_directory() -> Option<PathBuf> {
    let path = own_path(&fs::read_to_string("/proc/self/cgroup").ok()?)?;
    let (root, mounted_at) = mount(&fs::read_to_string("/proc/self/mountinfo").ok()?)?;
    let below = Path::new(&path).strip_prefix(root).ok()?.to_owned();
    let directory = mounted_at.join(below);
    directory.join("cgroup.procs").is_file().then_some(directory)
}

/// Parses `0::/user.slice/…`, `cgroups(7)`.
fn own_path(cgroups: &str) -> Option<String> {
    cgroups.lines().find_map(|line| line.strip_prefix("0::")).map(str::to_owned)
}

/// The mounted part of the hierarchy and its mount point: `ID PARENT MAJOR:MINOR ROOT MOUNTPOINT OPTIONS … - cgroup2 …`,
/// `proc_pid_mountinfo(5)`.
fn mount(mounts: &str) -> Option<(PathBuf, PathBuf)> {
    let line = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
    let mut fields = line.split(' ').skip(3);
    Some((fields.next()?.into(), fields.next()?.into()))
}

fn subdirectories(path: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path())
}

fn collect(path: &Path, depth: usize, found: &mut BTreeSet<u32>) {
    let processes = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    found.extend(processes.lines().filter_map(|pid| pid.parse::<u32>().ok()));
    if depth > 0 {
        subdirectories(path).for_each(|below| collect(&below, depth - 1, found));
    }
}

fn remove(path: &Path, depth: usize) {
    if depth > 0 {
        subdirectories(path).for_each(|below| remove(&below, depth - 1));
    }
    // A group that is not empty stays.
    let _ = fs::remove_dir(path);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_group_is_read_from_proc() {
        assert_eq!(own_path("9:name=systemd:/\n0::/user.slice/a b\n").as_deref(), Some("/user.slice/a b"));
        assert_eq!(own_path("9:cpu:/\n"), None);
        let mounts = "22 1 0:20 / / rw - ext4 /dev/vda rw\n41 31 0:38 / /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw\n";
        assert_eq!(mount(mounts), Some(("/".into(), "/sys/fs/cgroup".into())));
    }

    /// A control group imitated on an ordinary file system.
    fn imitation(path: &Path, controllers: &str) -> Group {
        fs::create_dir_all(path).unwrap();
        fs::write(path.join("cgroup.controllers"), controllers).unwrap();
        for file in ["cgroup.subtree_control", "cgroup.procs", "memory.max", "cpu.max"] {
            fs::write(path.join(file), "").unwrap();
        }
        fs::write(path.join("memory.events"), "low 0\nhigh 0\nmax 9\noom 2\noom_kill 3\noom_group_kill 0\n")
            .unwrap();
        Group(path.to_owned())
    }

    #[test]
    fn the_next_incarnation_has_the_next_number() {
        let next = |path: &str| Group(path.into()).successor();
        assert_eq!(next("/no/such/web.1.9"), Some("/no/such/web.1.10".into()));
        assert_eq!(next("/no/such/web"), None);
        assert_eq!(next("/no/such/web.x"), None);
    }

    #[test]
    fn limits_are_written_as_the_kernel_reads_them() {
        let dir = tempfile::tempdir().unwrap();
        imitation(dir.path(), "cpuset cpu io memory pids\n");
        let realm = Realm(imitation(&dir.path().join("p2p-run"), ""));
        realm.enable("memory").unwrap();
        let reason = realm.enable("hugetlb").unwrap_err();
        assert!(reason.starts_with("no hugetlb controller in "), "{reason}");
        for group in [dir.path(), realm.path()] {
            assert_eq!(fs::read_to_string(group.join("cgroup.subtree_control")).unwrap(), "+memory");
        }
        let group = imitation(&realm.path().join("web.1"), "");
        group.limit_memory(64 << 20).unwrap();
        group.limit_cpu(0.5).unwrap();
        assert_eq!(fs::read_to_string(group.path().join("memory.max")).unwrap(), "67108864");
        assert_eq!(fs::read_to_string(group.path().join("cpu.max")).unwrap(), "50000 100000");
        assert_eq!(group.oom_kills(), Some(3));
        fs::remove_file(group.path().join("memory.max")).unwrap();
        assert!(group.limit_memory(1).unwrap_err().starts_with("cannot set memory.max: "));
    }

    #[test]
    fn a_launcher_steps_aside_with_its_children_and_says_who_is_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        imitation(dir.path(), "memory\n");
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let ours = format!("{}\n{}\n", proc::own(), child.id());
        fs::write(dir.path().join("cgroup.procs"), format!("1\n{ours}")).unwrap();
        let (mut found, others) = members(dir.path());
        found.sort_unstable();
        let mut expected = [proc::own(), child.id()];
        expected.sort_unstable();
        assert_eq!((found.as_slice(), others), (&expected[..], 1));
        // A leaf that another launcher has left, and our own as the kernel would fill it.
        fs::create_dir(dir.path().join(format!("{ASIDE}1"))).unwrap();
        imitation(&dir.path().join(format!("{ASIDE}{}", proc::own())), "");
        let reason = step_aside(dir.path()).unwrap_err();
        assert!(reason.starts_with("1 other processes are in the launcher's control group"), "{reason}");
        assert!(!dir.path().join(format!("{ASIDE}1")).exists());
        fs::write(dir.path().join("cgroup.procs"), ours).unwrap();
        step_aside(dir.path()).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn all_that_a_process_starts_is_in_its_group_and_ends_with_it() {
        let run_id = Uuid::new_v4();
        let Ok(realm) = Realm::make(run_id) else { return };
        let group = realm.group("web", 1).unwrap();
        let script = "env -i setsid sh -c 'exec sleep 600' & exec sleep 600";
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "read go; eval \"$0\"", script]);
        let mut child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
        drop(group.take(child.id(), "sleeper"));
        group.expect_successor();
        let next = realm.path().join("web.2");
        assert!(next.is_dir() && realm.group("web", 2).is_ok(), "it is taken as it is");
        io::Write::write_all(child.stdin.as_mut().unwrap(), b"go\n").unwrap();
        while group.processes().len() < 2 {
            std::thread::yield_now();
        }
        assert!(Group::at(realm.path()).is_some_and(|all| all.processes().len() >= 2));
        group.kill();
        child.wait().unwrap();
        while !group.processes().is_empty() {
            std::thread::yield_now();
        }
        let path = realm.path().to_owned();
        drop((group, realm));
        assert!(!path.exists());
    }
}
