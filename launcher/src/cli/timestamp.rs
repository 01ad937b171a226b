//! Finds the time at the start of a log line, as text that sorts like the time.

/// `2026-11-20T23:21:22`: what is common to all.
const SHAPE: &[u8] = b"dddd-dd-ddTdd:dd:dd";

/// The RFC 3339 time in UTC that a line begins with. Fractions of any length sort right as text.
pub(super) fn leading(line: &[u8]) -> Option<&[u8]> {
    let end = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
    let word = &line[..end];
    let fits = |(byte, shape): (&u8, &u8)| if *shape == b'd' { byte.is_ascii_digit() } else { byte == shape };
    let is_time = word.len() >= SHAPE.len() && word.iter().zip(SHAPE).all(fits);
    is_time.then(|| word.strip_suffix(b"Z").unwrap_or(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_and_sort() {
        let early = leading(b"2026-11-20T23:21:22.1Z  INFO x").unwrap();
        let late = leading(b"2026-11-20T23:21:22.12Z  INFO y").unwrap();
        assert!(early < late);
        assert_eq!(leading(b"   at main.rs"), None);
        assert_eq!(leading(b""), None);
        assert_eq!(leading(b"2026-11-20 23:21:22 x"), None);
    }
}
