//! Checks the directories, the space on their disks, and how long a durable write takes.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kit::Failure;
use rustix::fs::statvfs;

use super::Finding;
use crate::config::{Directories, Loaded};
use crate::preflight::directories;

/// With less free space nothing works for long.
const NO_ROOM: u64 = 64 << 20;
/// Space for messages besides the logs: a few million.
const COMFORT: u64 = 1 << 30;
/// A database without free inodes cannot create its journal.
const FEW_INODES: u64 = 1000;

/// The number of blocks written and synced.
const SYNCS: usize = 20;
/// A good disk takes one millisecond, an old one ten; each batch of messages waits for one sync.
const SLOW: Duration = Duration::from_millis(30);
/// A disk that occasionally takes longer delays senders noticeably.
const STALL: Duration = Duration::from_millis(500);

/// Whether the directories can be used, and whether others can read them.
pub(super) fn directories(directories: &Directories, dotenvs: &[PathBuf]) -> Vec<Finding> {
    const CHECK: &str = "directories";
    if let Err(errors) = directories::prepare(directories) {
        let fail = |error| {
            Finding::fail(CHECK, Failure::from(error).to_string(), "check its owner and permissions: ls -ld")
        };
        return errors.into_iter().map(fail).collect();
    }
    let exposed = directories::exposed(directories, dotenvs);
    if !exposed.is_empty() {
        return exposed.into_iter().map(|(found, advice)| Finding::warn(CHECK, found, advice)).collect();
    }
    let (data, logs) = (directories.data.display(), directories.logs.display());
    vec![Finding::ok(CHECK, format!("data in {data}, logs in {logs}"))]
}

/// The free space on the disks of the data and the logs.
pub(super) fn space(loaded: &Loaded) -> Finding {
    const CHECK: &str = "disk space";
    let logs = loaded.settings.logs.total_mib.saturating_mul(1 << 20);
    let mut findings = Vec::new();
    for (directory, wanted) in
        [(&loaded.directories.data, COMFORT), (&loaded.directories.logs, COMFORT.max(logs))]
    {
        let Ok(disk) = statvfs(directory) else { continue };
        let (free, shown) = (disk.f_bavail.saturating_mul(disk.f_frsize), directory.display());
        let found = format!("{} free at {shown}", room(free));
        findings.push(if free < NO_ROOM {
            Finding::fail(CHECK, found, "free some space: nothing can be stored without it")
        } else if disk.f_files > 0 && disk.f_favail < FEW_INODES {
            Finding::fail(
                CHECK,
                format!("{} more files can be made at {shown}", disk.f_favail),
                "delete files",
            )
        } else if free < wanted {
            Finding::warn(
                CHECK,
                found,
                format!("{} is recommended; logs.total-mib limits the logs", room(wanted)),
            )
        } else {
            Finding::ok(CHECK, found)
        });
    }
    let none = || Finding::warn(CHECK, "could not be measured", "check it with: df");
    findings.into_iter().max_by_key(|finding| finding.verdict).unwrap_or_else(none)
}

fn room(bytes: u64) -> String {
    let mib = bytes >> 20;
    if mib < 10_240 { format!("{mib} MiB") } else { format!("{} GiB", mib >> 10) }
}

/// How long a write takes until it survives a power failure.
pub(super) fn sync_time(data: &Path) -> Finding {
    const CHECK: &str = "fsync";
    let times = match times(data) {
        Ok(times) => times,
        Err(error) => {
            return Finding::fail(
                CHECK,
                format!("cannot write to {}: {error}", data.display()),
                "check the disk and its permissions",
            );
        }
    };
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    let found = format!("median {}, worst {} ({SYNCS} writes)", shown(median), shown(worst));
    if is_memory(data) {
        return Finding::warn(
            CHECK,
            format!("{} is in memory (tmpfs) and lost at a reboot", data.display()),
            "use a directory on a disk: --data DIR",
        );
    }
    if median > SLOW || worst > STALL {
        return Finding::warn(
            CHECK,
            found,
            "slow disk: every sender waits for these writes; use another disk or store.durability = \"relaxed\"",
        );
    }
    Finding::ok(CHECK, found)
}

/// The times, sorted.
fn times(data: &Path) -> io::Result<Vec<Duration>> {
    let path = data.join(format!(".doctor-{}", std::process::id()));
    let mut file = kit::files::open(&path, OpenOptions::new().write(true).create_new(true))?;
    // Removed at once, so that nothing is left even after a crash.
    std::fs::remove_file(&path)?;
    let once = |_| {
        let begin = Instant::now();
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        Ok(begin.elapsed())
    };
    let mut times = (0..SYNCS).map(once).collect::<io::Result<Vec<_>>>()?;
    times.sort();
    Ok(times)
}

fn shown(time: Duration) -> String {
    let micros = time.as_micros();
    format!("{}.{:02} ms", micros / 1000, micros % 1000 / 10)
}

/// Whether the file system is lost when the machine is switched off.
#[cfg(target_os = "linux")]
fn is_memory(data: &Path) -> bool {
    /// `TMPFS_MAGIC` and `RAMFS_MAGIC` of `statfs(2)`.
    const MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];
    rustix::fs::statfs(data)
        .is_ok_and(|disk| MEMORY.iter().any(|magic| u64::try_from(disk.f_type) == Ok(*magic)))
}

#[cfg(not(target_os = "linux"))]
fn is_memory(_: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_disk_is_timed_and_nothing_is_left_on_it() {
        let dir = tempfile::tempdir().unwrap();
        let finding = sync_time(dir.path());
        assert_ne!(finding.verdict, Verdict::Fail, "{finding:?}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        assert_eq!(sync_time(&dir.path().join("missing")).verdict, Verdict::Fail);
        assert_eq!(shown(Duration::from_micros(12_345)), "12.34 ms");
    }

    #[test]
    fn directories_that_cannot_be_used_or_are_open_to_all_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let both = |path: &Path| Directories { data: path.to_owned(), logs: path.to_owned() };
        assert_eq!(directories(&both(&file), &[]).len(), 2);
        let open = dir.path().join("open");
        std::fs::create_dir(&open).unwrap();
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o755)).unwrap();
        let secrets = dir.path().join(".env");
        std::fs::write(&secrets, "").unwrap();
        std::fs::set_permissions(&secrets, std::fs::Permissions::from_mode(0o640)).unwrap();
        let found = directories(&both(&open), std::slice::from_ref(&secrets));
        assert!(found.iter().all(|finding| finding.verdict == Verdict::Warn), "{found:?}");
        let advice: Vec<&str> = found.iter().map(|finding| &finding.advice[..10]).collect();
        assert_eq!(advice, ["chmod 700 ", "chmod 700 ", "chmod 600 "]);
    }
}
