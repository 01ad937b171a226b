//! A schedule: its fields and its time zone.

use std::sync::Arc;

use tz::TimeZone;

use super::fields::Fields;
use super::search;

/// A schedule.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// As it was written.
    expression: String,
    /// The zone's name; the machine's own where there is none.
    zone_name: Option<String>,
    fields: Fields,
    zone: Arc<TimeZone>,
}

/// What is wrong with a schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Its fields.
    #[error("{0}")]
    Fields(String),
    /// Its time zone.
    #[error("unknown time zone '{0}'; write a name such as \"Europe/Berlin\" or \"UTC\"")]
    Zone(String),
    /// No day is like that.
    #[error("'{0}' never happens")]
    Never(String),
}

impl Schedule {
    /// Reads one.
    ///
    /// # Errors
    /// Says which field is wrong and what it may be, that there is no such time zone, or that it never happens.
    pub fn parse(expression: &str, zone_name: Option<&str>) -> Result<Self, ScheduleError> {
        let fields = Fields::parse(expression).map_err(ScheduleError::Fields)?;
        let zone = match zone_name {
            Some(name) => zone(name).ok_or_else(|| ScheduleError::Zone(name.to_owned()))?,
            None => local(),
        };
        let schedule = Self {
            expression: expression.to_owned(),
            zone_name: zone_name.map(str::to_owned),
            fields,
            zone: Arc::new(zone),
        };
        match schedule.next(0) {
            Some(_) => Ok(schedule),
            None => Err(ScheduleError::Never(expression.to_owned())),
        }
    }

    /// As it was written.
    #[must_use]
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// The name of its time zone, where it has one of its own.
    #[must_use]
    pub fn zone_name(&self) -> Option<&str> {
        self.zone_name.as_deref()
    }

    /// The first time after this one, both in seconds since 1970.
    #[must_use]
    pub fn next(&self, after: i64) -> Option<i64> {
        search::next(&self.fields, &self.zone, after)
    }

    /// Whether it has fixed hours and minutes: such a run is not missed and not repeated when clocks are changed.
    pub(super) fn is_fixed(&self) -> bool {
        !self.fields.is_wild
    }
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        self.expression == other.expression && self.zone_name == other.zone_name
    }
}

/// Only names: the rules of POSIX are for whom no name is known to.
fn zone(name: &str) -> Option<TimeZone> {
    let is_name = !name.is_empty() && !name.starts_with(['/', ':', '.']) && !name.contains("..");
    if name.eq_ignore_ascii_case("utc") {
        return Some(TimeZone::utc());
    }
    is_name.then(|| TimeZone::from_posix_tz(&format!(":{name}")).ok()).flatten()
}

/// As `TZ` says, or else the machine's.
fn local() -> TimeZone {
    let named = std::env::var("TZ").ok().filter(|name| !name.is_empty());
    let zone = named.map_or_else(TimeZone::local, |name| TimeZone::from_posix_tz(&name));
    zone.unwrap_or_else(|_| TimeZone::utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_named() {
        let error =
            |expression: &str, zone: Option<&str>| Schedule::parse(expression, zone).unwrap_err().to_string();
        assert_eq!(error("0 0 30 feb *", None), "'0 0 30 feb *' never happens");
        for zone in ["Europe/Berln", "", "/etc/passwd", "../passwd"] {
            assert!(error("@daily", Some(zone)).starts_with(&format!("unknown time zone '{zone}'")));
        }
        assert!(error("61 * * * *", None).starts_with("minute '61'"));
        assert_eq!(Schedule::parse("0 3 * * *", Some("UTC")).unwrap().next(0), Some(3 * 3600));
    }
}
