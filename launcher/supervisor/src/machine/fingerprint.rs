//! Recognises repeated crashes by the exit status and the last lines, with numbers and addresses masked. Pure.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::exit::ProcessExit;

/// The number of last lines compared: a panic's message, its location and a few lines around them.
const LINES: usize = 5;

/// Equal for crashes of the same kind; `None` for an end that somebody else caused, which is not the program's fault.
pub(crate) fn fingerprint(exit: ProcessExit, lines: &[String]) -> Option<u64> {
    if exit.is_from_outside() || exit == ProcessExit::Unknown {
        return None;
    }
    let mut hasher = DefaultHasher::new();
    exit.to_string().hash(&mut hasher);
    let telling = lines.iter().rev().filter(|line| !line.trim().is_empty()).take(LINES);
    telling.map(|line| masked(line)).for_each(|line| line.hash(&mut hasher));
    Some(hasher.finish())
}

/// Masks what differs between equal crashes: each decimal or hexadecimal number in a word becomes `#`.
fn masked(line: &str) -> String {
    let mut masked = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphanumeric()) {
        let (before, word) = rest.split_at(start);
        let end = word.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(word.len());
        let (word, after) = word.split_at(end);
        masked.push_str(before);
        mask_word(word, &mut masked);
        rest = after;
    }
    masked.push_str(rest);
    masked
}

/// Hexadecimal digits with at least one decimal digit are masked as a whole; in other words only the digits are.
fn mask_word(word: &str, masked: &mut String) {
    let digits = word.strip_prefix("0x").unwrap_or(word);
    let has_digit = digits.bytes().any(|byte| byte.is_ascii_digit());
    if has_digit && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        masked.push('#');
        return;
    }
    let mut in_number = false;
    for c in word.chars() {
        let is_digit = c.is_ascii_digit();
        if !is_digit {
            masked.push(c);
        } else if !in_number {
            masked.push('#');
        }
        in_number = is_digit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: i32, lines: &[&str]) -> Option<u64> {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        fingerprint(ProcessExit::Code(code), &lines)
    }

    #[test]
    fn numbers_times_and_addresses_do_not_count() {
        assert_eq!(
            masked("2026-11-21T12:03:07Z pid 4711 at 0x7ffe12ab port5 7f3a-dead"),
            "#-#-#T#:#:#Z pid # at # port# #-dead"
        );
        let one = of(101, &["12:00:01 thread 'main' (17) panicked at src/x.rs:5", "took 12 ms"]);
        let other = of(101, &["12:34:56 thread 'main' (9) panicked at src/x.rs:5", "took 7 ms", ""]);
        assert_eq!(one, other);
    }

    #[test]
    fn another_status_or_another_word_is_another_crash() {
        assert_ne!(of(1, &["x"]), of(2, &["x"]));
        assert_ne!(of(1, &["cannot bind"]), of(1, &["cannot connect"]));
        assert_eq!(fingerprint(ProcessExit::Signal(9), &[]), None);
        assert!(fingerprint(ProcessExit::Signal(11), &[]).is_some());
    }
}
