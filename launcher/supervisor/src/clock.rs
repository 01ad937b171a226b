//! The wall clock in its written forms, for people and file names only. Durations are measured with monotonic time.

use std::time::Duration;

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

/// Whole seconds, rounded up.
pub fn ceil_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_their_form() {
        let (long, short) = (rfc3339(), compact());
        assert!(long.len() == 20 && long.ends_with('Z') && long.as_bytes()[10] == b'T', "{long}");
        let micros = micros();
        assert!(micros.len() == 27 && micros.ends_with('Z') && micros.as_bytes()[19] == b'.', "{micros}");
        assert!(short.len() == 16 && short.ends_with('Z') && short.as_bytes()[8] == b'T', "{short}");
    }
}
