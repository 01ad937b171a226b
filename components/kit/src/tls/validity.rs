//! The dates in a certificate (X.509, RFC 5280, 4.1): rustls checks those of others, and does not tell those of our own.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The explicit tag of the version, the only field before the serial number.
const VERSION: u8 = 0xa0;
const DAY: u64 = 86_400;

/// When a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub from: SystemTime,
    /// The last moment.
    pub until: SystemTime,
}

/// Whether a certificate has to be renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    /// Its validity has not begun.
    Early,
    /// More than a third of its lifetime is left.
    Fine,
    /// A third of its lifetime or less is left, this much.
    Late(Duration),
    /// It expired this long ago.
    Expired(Duration),
}

impl Validity {
    /// The dates of a certificate in DER; `None` if they cannot be parsed.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Option<Self> {
        let (certificate, _) = element(certificate, SEQUENCE)?;
        let (mut fields, _) = element(certificate, SEQUENCE)?;
        if fields.first() == Some(&VERSION) {
            fields = any(fields)?.2;
        }
        // Serial number, signature algorithm, issuer.
        for _ in 0..3 {
            fields = any(fields)?.2;
        }
        let (dates, _) = element(fields, SEQUENCE)?;
        let (from, dates) = date(dates)?;
        let (until, _) = date(dates)?;
        Some(Self { from, until })
    }

    /// Whether it has to be renewed.
    #[must_use]
    pub fn age(&self, now: SystemTime) -> Age {
        if now < self.from {
            return Age::Early;
        }
        let lifetime = self.until.duration_since(self.from).unwrap_or_default();
        match self.until.duration_since(now) {
            Err(past) => Age::Expired(past.duration()),
            Ok(left) if left <= lifetime / 3 => Age::Late(left),
            Ok(_) => Age::Fine,
        }
    }
}

/// An element of DER: its tag, its content, and what follows.
fn any(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        ..=0x7f => (usize::from(first), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            (digits.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

fn element(bytes: &[u8], expected: u8) -> Option<(&[u8], &[u8])> {
    any(bytes).filter(|(tag, ..)| *tag == expected).map(|(_, content, rest)| (content, rest))
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`; two digits of a year are from 1950 to 2049.
fn date(bytes: &[u8]) -> Option<(SystemTime, &[u8])> {
    let (tag, text, rest) = any(bytes)?;
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = |at: std::ops::Range<usize>| text.get(at)?.parse::<u64>().ok();
    let (year, at) = match tag {
        UTC_TIME => (number(0..2).map(|year| if year < 50 { 2000 + year } else { 1900 + year })?, 2),
        GENERALIZED_TIME => (number(0..4)?, 4),
        _ => return None,
    };
    let (month, day) = (number(at..at + 2)?, number(at + 2..at + 4)?);
    let (hour, minute) = (number(at + 4..at + 6)?, number(at + 6..at + 8)?);
    let second = number(at + 8..at + 10)?;
    let days = days_since_1970(year, month, day)?;
    let seconds = days * DAY + hour * 3600 + minute * 60 + second;
    Some((UNIX_EPOCH + Duration::from_secs(seconds), rest))
}

/// Days from 1970-01-01 in the Gregorian calendar; nothing before it.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years that begin in March end with the leap day.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let before = |year: u64| year * 365 + year / 4 - year / 100 + year / 400;
    (before(year) + (153 * month + 2) / 5 + day - 1).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, tag: u8) -> Option<u64> {
        let bytes = [&[tag, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
        date(&bytes).map(|(time, _)| time.duration_since(UNIX_EPOCH).unwrap().as_secs())
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(at("700101000000Z", UTC_TIME), Some(0));
        assert_eq!(at("491231235959Z", UTC_TIME), Some(2_524_607_999));
        assert_eq!(at("20240229120000Z", GENERALIZED_TIME), Some(1_709_208_000));
        assert_eq!(at("20261130220000Z", GENERALIZED_TIME), Some(1_796_076_000));
        for wrong in ["", "Z", "20240229120000", "2024022912000Z", "20241329120000Z", "2024+229120000Z"] {
            assert_eq!(at(wrong, GENERALIZED_TIME), None, "{wrong}");
        }
        assert_eq!(at("20240229120000Z", SEQUENCE), None);
    }

    #[test]
    fn a_third_of_the_lifetime_is_the_time_to_renew() {
        let day = |n: u64| UNIX_EPOCH + Duration::from_secs(n * DAY);
        let days = |n: u64| Duration::from_secs(n * DAY);
        let validity = Validity { from: day(10), until: day(100) };
        assert_eq!(validity.age(day(9)), Age::Early);
        assert_eq!(validity.age(day(69)), Age::Fine);
        assert_eq!(validity.age(day(70)), Age::Late(days(30)));
        assert_eq!(validity.age(day(101)), Age::Expired(days(1)));
    }

    #[test]
    fn nothing_that_is_no_certificate_panics() {
        assert_eq!(Validity::of(&[]), None);
        let bytes: Vec<u8> = (0..=255).collect();
        for start in 0..bytes.len() {
            for length in 0..20 {
                let nested = [&[SEQUENCE, 0x82, 0, 16, SEQUENCE, 12][..], &bytes[start..]].concat();
                assert_eq!(Validity::of(&nested[..nested.len().min(length)]), None);
            }
        }
    }
}
