//! Times: the one at the start of a log line, as text that sorts chronologically, and those that an operator types.

use std::time::SystemTime;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// `2026-11-20T23:21:22`: the common prefix of all forms.
const SHAPE: &[u8] = b"dddd-dd-ddTdd:dd:dd";

/// The beginning of a JSON log line.
const JSON: &[u8] = b"{\"time\":\"";

/// The RFC 3339 time in UTC at the start of a line, or of the JSON object in it. Fractions of any length sort correctly as text.
pub(crate) fn leading(line: &[u8]) -> Option<&[u8]> {
    let (line, end) = line.strip_prefix(JSON).map_or((line, b' '), |rest| (rest, b'"'));
    let end = line.iter().take(40).position(|byte| *byte == end).unwrap_or(line.len().min(40));
    let word = &line[..end];
    let fits = |(byte, shape): (&u8, &u8)| if *shape == b'd' { byte.is_ascii_digit() } else { byte == shape };
    let is_time = word.len() >= SHAPE.len() && word.iter().zip(SHAPE).all(fits);
    is_time.then(|| word.strip_suffix(b"Z").unwrap_or(word))
}

/// A time that an operator types: an age (`10m`), a date, or RFC 3339, in UTC unless it has an offset. In the form of [`leading`].
///
/// # Errors
/// The accepted forms.
pub(crate) fn since(text: &str) -> Result<String, String> {
    let ago = kit::duration::parse(text).ok().and_then(|ago| SystemTime::now().checked_sub(ago));
    let as_time = |text: &str| OffsetDateTime::parse(text, &Rfc3339).ok();
    let named = || {
        as_time(text)
            .or_else(|| as_time(&format!("{}Z", text.replace(' ', "T"))))
            .or_else(|| as_time(&format!("{text}T00:00:00Z")))
    };
    let time = ago.map(OffsetDateTime::from).or_else(named);
    let time =
        time.ok_or("write how long ago, such as 10m or 2h, or a time, such as 2026-11-20T23:21:22Z")?;
    let time = time.to_offset(time::UtcOffset::UTC).format(&Rfc3339).map_err(|error| error.to_string())?;
    Ok(time.trim_end_matches('Z').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_and_sort() {
        let early = leading(b"2026-11-20T23:21:22.1Z  INFO x").unwrap();
        let late = leading(b"{\"time\":\"2026-11-20T23:21:22.12Z\",\"line\":\"y\"}").unwrap();
        assert!(early < late);
        assert_eq!(leading(b"   at main.rs"), None);
        assert_eq!(leading(b""), None);
        assert_eq!(leading(b"2026-11-20 23:21:22 x"), None);
    }

    #[test]
    fn a_point_in_time_may_be_named_in_several_ways() {
        for text in ["2026-11-20T23:00:00Z", "2026-11-21T01:00:00+02:00", "2026-11-20 23:00:00"] {
            assert_eq!(since(text).unwrap(), "2026-11-20T23:00:00", "{text}");
        }
        assert_eq!(since("2026-11-20").unwrap(), "2026-11-20T00:00:00");
        assert!(since("1h").unwrap() < since("1s").unwrap());
        assert!(since("yesterday").unwrap_err().contains("10m"));
    }
}
