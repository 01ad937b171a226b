//! Local times for display, or UTC if the time zone is unknown.

use protocol::Timestamp;
use tz::{DateTime, TimeZone, TimeZoneRef};

/// The time zone for display.
#[derive(Debug, Clone)]
pub(crate) struct Zone(TimeZone);

/// A calendar day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Day {
    year: i32,
    month: u8,
    day: u8,
    weekday: u8,
}

/// A local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) day: Day,
    hour: u8,
    minute: u8,
}

const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

impl Zone {
    /// The zone that `TZ` names, else the system's, else UTC.
    pub(crate) fn local(tz: Option<&str>) -> Self {
        let zone = match tz {
            Some(name) if !name.is_empty() => TimeZone::from_posix_tz(name),
            Some(_) | None => TimeZone::local(),
        };
        Self(zone.unwrap_or_else(|_| TimeZone::utc()))
    }

    /// Converts to local time.
    pub(crate) fn moment(&self, at: Timestamp) -> Moment {
        let seconds = at.micros().div_euclid(1_000_000);
        let time = DateTime::from_timespec(seconds, 0, self.0.as_ref())
            .or_else(|_| DateTime::from_timespec(seconds, 0, TimeZoneRef::utc()))
            .expect("UTC knows every second of the years 1 to 9999");
        let day =
            Day { year: time.year(), month: time.month(), day: time.month_day(), weekday: time.week_day() };
        Moment { day, hour: time.hour(), minute: time.minute() }
    }
}

impl std::fmt::Display for Moment {
    /// `12:03`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02}:{:02}", self.hour, self.minute)
    }
}

impl Day {
    /// `2026-11-20`.
    pub(crate) fn short(self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl std::fmt::Display for Day {
    /// `Friday 20 November 2026`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let weekday = WEEKDAYS[usize::from(self.weekday) % 7];
        let month = MONTHS[usize::from(self.month + 11) % 12];
        write!(f, "{weekday} {} {month} {}", self.day, self.year)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn a_time_is_shown_on_the_local_clock_summer_and_winter() {
        let zone = Zone::local(Some("CET-1CEST,M3.5.0,M10.5.0/3"));
        let winter = zone.moment(at("2026-11-20T23:21:22Z"));
        assert_eq!(winter.to_string(), "00:21");
        assert_eq!(winter.day.to_string(), "Saturday 21 November 2026");
        assert_eq!(zone.moment(at("2026-07-01T10:00:00Z")).to_string(), "12:00");
    }

    #[test]
    fn a_zone_that_nobody_knows_is_utc_and_every_time_has_a_day() {
        let zone = Zone::local(Some("No/Such:Zone"));
        assert_eq!(zone.moment(at("2026-11-20T23:21:22Z")).to_string(), "23:21");
        for micros in [i64::MIN, i64::MAX, 0, -1] {
            assert!(!zone.moment(Timestamp::from_micros(micros)).day.to_string().is_empty());
        }
    }
}
