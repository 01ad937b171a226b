//! Control groups (cgroup v2, `cgroups(7)`): where we may make some, each component's processes are in one of its own. No process can leave
//! it by itself, whatever it does, and all in it are killed at once, also those that are being started meanwhile.
//!
//! Only for knowing and ending them: no limit is set, and no controller is used.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

/// Names its control group for a child that is to become a program of the operator's: it moves there by itself before ([`join`]), because that
/// program may have started others by the time that we have moved it.
pub(super) const CONTROL_GROUP: &str = "P2P_CONTROL_GROUP";

/// How deep groups within groups are looked at. Components may make some, too.
const MAX_DEPTH: usize = 8;

/// Those of one run; removed when this is dropped, if they are empty.
#[derive(Debug)]
pub(super) struct Realm(Group);

impl Realm {
    /// Makes the one of a run below our own group.
    pub(super) fn make(run_id: Uuid) -> io::Result<Self> {
        let own = own_directory()
            .ok_or_else(|| io::Error::other("this process has no cgroup v2 that it can see"))?;
        let realm = Self(Group::make(own.join(format!("p2p-{run_id}")))?);
        // Since Linux 5.14.
        if !realm.0.0.join("cgroup.kill").exists() {
            return Err(io::Error::other("this kernel has no cgroup.kill"));
        }
        Ok(realm)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0.0
    }

    /// The group of one incarnation.
    pub(super) fn group(&self, component: &str, epoch: u64) -> io::Result<Group> {
        Group::make(self.path().join(format!("{component}.{epoch}")))
    }
}

/// Where a run would have its groups; the error says why it can have none.
///
/// # Errors
/// When there is no cgroup v2, or we may not make one.
pub fn place() -> Result<PathBuf, String> {
    let realm = Realm::make(Uuid::new_v4()).map_err(|error| error.to_string())?;
    Ok(realm.path().parent().unwrap_or(Path::new("/")).to_owned())
}

/// A group; removed when this is dropped, if it is empty.
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

    /// One that another launcher has made, if it is there.
    pub(super) fn at(path: &Path) -> Option<Self> {
        path.join("cgroup.procs").is_file().then(|| Self(path.to_owned()))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Moves a process here; what it starts from now on is here, too.
    pub(super) fn take(&self, pid: u32) -> io::Result<()> {
        fs::write(self.0.join("cgroup.procs"), pid.to_string())
    }

    /// Those in it, and in groups below it.
    pub(super) fn processes(&self) -> BTreeSet<u32> {
        let mut found = BTreeSet::new();
        collect(&self.0, MAX_DEPTH, &mut found);
        found
    }

    /// Ends all of them.
    pub(super) fn kill(&self) {
        // Without it there are still signals for each.
        let _ = fs::write(self.0.join("cgroup.kill"), "1");
    }
}

/// Moves this process into the control group that the supervisor that started it has named, and forgets the name in what `command` gets.
pub fn join(command: &mut std::process::Command) {
    if let Some(group) = std::env::var_os(CONTROL_GROUP) {
        // The supervisor tries, too, and says so if it cannot.
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

/// `0::/user.slice/…`, `cgroups(7)`.
fn own_path(cgroups: &str) -> Option<String> {
    cgroups.lines().find_map(|line| line.strip_prefix("0::")).map(str::to_owned)
}

/// What of the hierarchy is mounted, and where: `ID PARENT MAJOR:MINOR ROOT MOUNTPOINT OPTIONS … - cgroup2 …`, `proc_pid_mountinfo(5)`.
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
    // One that is not empty stays.
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

    #[test]
    fn all_that_a_process_starts_is_in_its_group_and_ends_with_it() {
        let run_id = Uuid::new_v4();
        let Ok(realm) = Realm::make(run_id) else { return };
        let group = realm.group("web", 1).unwrap();
        let script = "env -i setsid sh -c 'exec sleep 600' & exec sleep 600";
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "read go; eval \"$0\"", script]);
        let mut child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
        group.take(child.id()).unwrap();
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
