//! The wall clock in its written forms, for people and file names only. Durations are measured with monotonic time, which stands still
//! while the machine is suspended; for [`since_boot`] it goes on.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// If an event is this much later than its time, this process was suspended: by SIGSTOP, in a frozen control group, or with the machine.
/// Then nobody but us was late.
pub const STANDSTILL: Duration = Duration::from_secs(1);

/// The current time, RFC 3339 in UTC, to the second: `2026-11-21T12:03:07Z`.
pub fn rfc3339() -> String {
    seconds(OffsetDateTime::now_utc())
}

/// The current time, RFC 3339 in UTC, with six digits of a second: `2026-11-21T12:03:07.000123Z`.
pub fn micros() -> String {
    let now = OffsetDateTime::now_utc();
    let whole = now.replace_nanosecond(0).unwrap_or(now).format(&Rfc3339);
    let mut text = whole.expect("a UTC time of this millennium can be written as RFC 3339");
    text.truncate("2026-11-21T12:03:07".len());
    text + &format!(".{:06}Z", now.microsecond())
}

/// The current time for file names: `20261121T120307Z`.
pub fn compact() -> String {
    compact_of(OffsetDateTime::now_utc())
}

/// A time in UTC, for file names.
pub fn compact_of(time: OffsetDateTime) -> String {
    seconds(time).replace(['-', ':'], "")
}

/// A time in UTC, RFC 3339, with three digits of a second: `2026-11-21T12:03:07.012Z`.
pub fn precise(time: OffsetDateTime) -> String {
    let mut text = seconds(time);
    text.truncate("2026-11-21T12:03:07".len());
    text + &format!(".{:03}Z", time.millisecond())
}

/// A time in UTC, RFC 3339, to the second.
pub fn seconds(time: OffsetDateTime) -> String {
    let whole = time.replace_nanosecond(0).unwrap_or(time);
    whole.format(&Rfc3339).expect("a UTC time of this millennium can be written as RFC 3339")
}

/// The time since the machine was started, also that in which it was suspended (`CLOCK_BOOTTIME`, `proc_uptime(5)`). Without `/proc` the time
/// since the first question, and only that in which the machine ran.
pub(crate) fn since_boot() -> Duration {
    static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds = uptime.split(' ').next().and_then(|seconds| seconds.parse().ok());
    seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or_else(|| FIRST.elapsed())
}

/// Whole seconds, rounded up.
pub fn ceil_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A time namespace, whose boot was two years earlier, stands in for a machine that was suspended so long: monotonic time knows of neither.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_suspended_machine_grows_older() {
        const CHILD: &str = "P2P_TEST_SINCE_BOOT";
        if std::env::var_os(CHILD).is_some() {
            assert!(since_boot() > Duration::from_secs(365 * 86_400), "{:?}", since_boot());
            return;
        }
        let namespace = ["--user", "--map-root-user", "--time", "--boottime", "63072000", "--fork", "--"];
        let unshare = |command: &[&std::ffi::OsStr]| {
            let mut unshare = std::process::Command::new("unshare");
            unshare.args(namespace).args(command).env(CHILD, "1").output()
        };
        // Not everybody may make one, and not every kernel can.
        if !unshare(&["true".as_ref()]).is_ok_and(|output| output.status.success()) {
            return;
        }
        let program = std::env::current_exe().unwrap();
        let name = "clock::tests::a_suspended_machine_grows_older";
        let output = unshare(&[program.as_os_str(), "--exact".as_ref(), name.as_ref()]).unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
    }

    #[test]
    fn times_have_their_form() {
        let (long, short) = (rfc3339(), compact());
        assert!(long.len() == 20 && long.ends_with('Z') && long.as_bytes()[10] == b'T', "{long}");
        let micros = micros();
        assert!(micros.len() == 27 && micros.ends_with('Z') && micros.as_bytes()[19] == b'.', "{micros}");
        assert!(short.len() == 16 && short.ends_with('Z') && short.as_bytes()[8] == b'T', "{short}");
    }
}
