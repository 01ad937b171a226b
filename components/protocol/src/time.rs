//! Points in time: microseconds since 1970 inside, RFC 3339 UTC on every wire.

use std::time::{SystemTime, UNIX_EPOCH};

use ::time::format_description::well_known::Rfc3339;
use ::time::{OffsetDateTime, UtcOffset};
use serde::{Deserialize, Serialize};

/// Microseconds since 1970-01-01T00:00:00Z. On the wire `2026-11-20T23:21:22.277391+00:00`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// A text is not an RFC 3339 time between the years 1 and 9999.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time such as 2026-11-20T23:21:22.277391+00:00")]
pub struct TimestampError;

/// The last microsecond of the year 9999, which is as far as RFC 3339 goes.
const MAX_MICROS: i64 = 253_402_300_799_999_999;
/// The first microsecond of the year 1.
const MIN_MICROS: i64 = -62_135_596_800_000_000;

impl Timestamp {
    /// The present, by the system's clock.
    #[must_use]
    pub fn now() -> Self {
        Self::from(SystemTime::now())
    }

    /// From microseconds since 1970, held to the years 1 to 9999.
    #[must_use]
    pub fn from_micros(micros: i64) -> Self {
        Self(micros.clamp(MIN_MICROS, MAX_MICROS))
    }

    /// Microseconds since 1970.
    #[must_use]
    pub fn micros(self) -> i64 {
        self.0
    }

    /// Reads RFC 3339 with any offset; a missing offset is taken as UTC, as Python's `utcnow().isoformat()` writes it.
    ///
    /// # Errors
    /// When the text is no such time.
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        if text.len() > 40 || !text.is_ascii() {
            return Err(TimestampError);
        }
        let read = |text: &str| OffsetDateTime::parse(text, &Rfc3339);
        let when = read(text).or_else(|_| read(&format!("{text}Z"))).map_err(|_| TimestampError)?;
        let micros = when.unix_timestamp_nanos().div_euclid(1000);
        Ok(Self::from_micros(i64::try_from(micros).map_err(|_| TimestampError)?))
    }

    /// `2026-11-20 23:21:22`, UTC, as the book dialect shows it.
    #[must_use]
    pub fn to_seconds_text(self) -> String {
        let t = self.parts();
        format!(
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
            t.year(),
            u8::from(t.month()),
            t.day(),
            t.hour(),
            t.minute(),
            t.second()
        )
    }

    fn parts(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1000)
            .expect("micros are held to the years 1 to 9999")
            .to_offset(UtcOffset::UTC)
    }
}

impl From<SystemTime> for Timestamp {
    fn from(when: SystemTime) -> Self {
        let micros = match when.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_micros()).unwrap_or(MAX_MICROS),
            Err(before) => i64::try_from(before.duration().as_micros()).map_or(MIN_MICROS, |micros| -micros),
        };
        Self::from_micros(micros)
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let t = self.parts();
        let (year, month, day) = (t.year(), u8::from(t.month()), t.day());
        let (hour, minute, second, micros) = (t.hour(), t.minute(), t.second(), t.microsecond());
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}+00:00")
    }
}

impl std::fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date-time", "description": "RFC 3339, UTC, microseconds" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn is_written_with_microseconds_and_a_numeric_offset() {
        let t = Timestamp::parse("2026-11-20T23:21:22.277391+00:00").unwrap();
        assert_eq!(t.to_string(), "2026-11-20T23:21:22.277391+00:00");
        assert_eq!(t.to_seconds_text(), "2026-11-20 23:21:22");
        assert_eq!(Timestamp::from_micros(0).to_string(), "1970-01-01T00:00:00.000000+00:00");
    }

    #[test]
    fn other_offsets_and_none_are_understood() {
        let t = Timestamp::parse("2026-11-20T23:21:22Z").unwrap();
        assert_eq!(Timestamp::parse("2026-11-21T00:21:22+01:00").unwrap(), t);
        assert_eq!(Timestamp::parse("2026-11-20T23:21:22").unwrap(), t);
        assert!(Timestamp::parse("yesterday").is_err());
        assert!(Timestamp::parse("").is_err());
    }

    proptest! {
        #[test]
        fn every_time_survives_the_wire(micros in MIN_MICROS..=MAX_MICROS) {
            let t = Timestamp::from_micros(micros);
            prop_assert_eq!(Timestamp::parse(&t.to_string()).unwrap(), t);
        }
    }
}
