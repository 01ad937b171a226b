//! Checks the wall clock, which dates messages and decides whether certificates are valid. Order and timers do not depend on it.

use std::path::Path;
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Finding;
use crate::config::Directories;

const CHECK: &str = "clock";
/// Clocks synchronised by the network differ by less; an HTTP date has a resolution of one second.
const MAX_SKEW_S: u64 = 5;
/// A file may be written during the check.
const FUTURE: Duration = Duration::from_secs(2);
/// systemd-timesyncd creates the directory, and the file once the clock is synchronised.
const TIMESYNC: &str = "/run/systemd/timesync";

/// Checks the clock; `ahead_s` is how many seconds it is ahead of another machine's, if known.
pub(super) fn clock(directories: &Directories, ahead_s: Option<i64>) -> Finding {
    let now = OffsetDateTime::now_utc().replace_nanosecond(0).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let shown = now.format(&Rfc3339).unwrap_or_default();
    let advice = "synchronize it with the network: timedatectl set-ntp true";
    if let Some(newer) = newer_than_now(&directories.data) {
        return Finding::fail(
            CHECK,
            format!("it is {shown}, but {newer} was written later than that"),
            advice,
        );
    }
    if let Some(ahead) = ahead_s.filter(|ahead| ahead.unsigned_abs() > MAX_SKEW_S) {
        let word = if ahead > 0 { "ahead of" } else { "behind" };
        let found = format!("it is {shown}, {} s {word} the language model's server", ahead.unsigned_abs());
        return Finding::warn(CHECK, found, advice);
    }
    let timesync = Path::new(TIMESYNC);
    if timesync.is_dir() && !timesync.join("synchronized").exists() {
        return Finding::warn(
            CHECK,
            format!("it is {shown}, and the network has not confirmed that yet"),
            advice,
        );
    }
    Finding::ok(CHECK, format!("it is {shown}"))
}

/// A file of ours with a time in the future, which means that the clock was set back.
fn newer_than_now(data: &Path) -> Option<String> {
    let limit = SystemTime::now() + FUTURE;
    let files = std::fs::read_dir(data).into_iter().flatten().flatten();
    let newer = |entry: &std::fs::DirEntry| {
        entry.metadata().and_then(|file| file.modified()).is_ok_and(|at| at > limit)
    };
    files.into_iter().find(newer).map(|entry| entry.path().display().to_string())
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_file_from_the_future_and_another_opinion_are_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let directories = Directories { data: dir.path().to_owned(), logs: dir.path().to_owned() };
        let behind = clock(&directories, Some(-90));
        assert_eq!(behind.verdict, Verdict::Warn);
        assert!(behind.found.contains("90 s behind"), "{behind:?}");
        assert!(clock(&directories, Some(1)).verdict <= Verdict::Warn);
        let file = std::fs::File::create(dir.path().join("chat.db")).unwrap();
        file.set_modified(SystemTime::now() + Duration::from_secs(3600)).unwrap();
        let finding = clock(&directories, None);
        assert_eq!(finding.verdict, Verdict::Fail);
        assert!(finding.found.contains("chat.db was written later"), "{finding:?}");
    }
}
