//! Timestamps: microseconds since 1970 internally, RFC 3339 in UTC on every wire.

use std::time::{SystemTime, UNIX_EPOCH};

use ::time::format_description::well_known::Rfc3339;
use ::time::{Date, Month, OffsetDateTime};
use serde::{Deserialize, Serialize};

use crate::validated::Parser;

/// Microseconds since 1970-01-01T00:00:00Z. On the wire `2026-11-20T23:21:22.277391+00:00`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The text is not an RFC 3339 time between the years 1 and 9999.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time such as 2026-11-20T23:21:22.277391+00:00")]
pub struct TimestampError;

/// The last microsecond of the year 9999, the end of RFC 3339's range.
const MAX_MICROS: i64 = 253_402_300_799_999_999;
/// The first microsecond of the year 1.
const MIN_MICROS: i64 = -62_135_596_800_000_000;

impl Timestamp {
    /// The present, by the system's clock.
    #[must_use]
    pub fn now() -> Self {
        Self::from(SystemTime::now())
    }

    /// From microseconds since 1970, clamped to the years 1 to 9999.
    #[must_use]
    pub fn from_micros(micros: i64) -> Self {
        Self(micros.clamp(MIN_MICROS, MAX_MICROS))
    }

    /// Microseconds since 1970.
    #[must_use]
    pub fn micros(self) -> i64 {
        self.0
    }

    /// Parses RFC 3339 with any offset; a missing offset means UTC, as in Python's `utcnow().isoformat()`.
    ///
    /// # Errors
    /// When the text is no such time.
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        if text.len() > 40 || !text.is_ascii() {
            return Err(TimestampError);
        }
        if let Some(when) = parse_own(text.as_bytes()) {
            return Ok(when);
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
        OffsetDateTime::from_unix_timestamp(self.0.div_euclid(SECOND))
            .expect("micros are held to the years 1 to 9999")
    }

    /// The wire format.
    fn text(self) -> [u8; OWN.len()] {
        let t = self.parts();
        let mut text = *OWN;
        let mut put = |place: std::ops::Range<usize>, mut number: u64| {
            for digit in text[place].iter_mut().rev() {
                *digit = b'0' + (number % 10) as u8;
                number /= 10;
            }
        };
        put(0..4, t.year().unsigned_abs().into());
        put(5..7, u8::from(t.month()).into());
        put(8..10, t.day().into());
        put(11..13, t.hour().into());
        put(14..16, t.minute().into());
        put(17..19, t.second().into());
        put(20..26, self.0.rem_euclid(SECOND).unsigned_abs());
        text
    }
}

/// Microseconds in a second.
const SECOND: i64 = 1_000_000;
/// The format that we write; `0` stands for a digit.
const OWN: &[u8; 32] = b"0000-00-00T00:00:00.000000+00:00";

/// Fast parser for the format that we write.
fn parse_own(text: &[u8]) -> Option<Timestamp> {
    let is_digit = |at: usize| OWN[at] == b'0' && at < 26;
    let fits = |(at, byte): (usize, &u8)| if is_digit(at) { byte.is_ascii_digit() } else { *byte == OWN[at] };
    if text.len() != OWN.len() || !text.iter().enumerate().all(fits) {
        return None;
    }
    let number = |place: std::ops::Range<usize>| {
        text[place].iter().fold(0_u32, |number, digit| number * 10 + u32::from(digit - b'0'))
    };
    let small = |place: std::ops::Range<usize>| u8::try_from(number(place)).ok();
    let month = Month::try_from(small(5..7)?).ok()?;
    let date = Date::from_calendar_date(i32::try_from(number(0..4)).ok()?, month, small(8..10)?).ok()?;
    let time = date.with_hms(small(11..13)?, small(14..16)?, small(17..19)?).ok()?;
    Some(Timestamp::from_micros(time.assume_utc().unix_timestamp() * SECOND + i64::from(number(20..26))))
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
        f.write_str(std::str::from_utf8(&self.text()).expect("digits and ASCII between them"))
    }
}

impl std::fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(std::str::from_utf8(&self.text()).expect("digits and ASCII between them"))
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Parser(Self::parse))
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

        /// Includes invalid days and seconds.
        #[test]
        fn the_fast_parser_agrees_with_the_general_one(
            year in 0..10_000, month in 0..14, day in 0..33, hour in 0..26, minute in 0..62, second in 0..62, micros in 0..1_000_000,
        ) {
            let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}+00:00");
            // Only the general parser accepts a leap second.
            prop_assume!(second != 60);
            let thorough = Timestamp::parse(&text.replace("+00:00", "Z"));
            prop_assert_eq!(parse_own(text.as_bytes()).ok_or(TimestampError), thorough);
        }
    }
}
