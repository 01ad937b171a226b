//! Splits a long answer into numbered messages without loss.

use protocol::Body;
use protocol::limits::BODY_BYTES;

/// Bytes reserved for `(123/456) `.
const NUMBER_BYTES: usize = 24;

/// The messages for a text: one, or several that start with `(1/3) `. Empty if nothing can be shown.
pub(crate) fn parts(text: &str) -> Vec<Body> {
    if let Ok(body) = Body::parse(text) {
        return vec![body];
    }
    let chunks: Vec<Body> =
        chunks(text, BODY_BYTES - NUMBER_BYTES).filter_map(|chunk| Body::parse(chunk).ok()).collect();
    let count = chunks.len();
    if count <= 1 {
        return chunks;
    }
    let numbered = |(index, chunk): (usize, Body)| {
        Body::parse(&format!("({}/{count}) {chunk}", index + 1)).expect("room was left for the number")
    };
    chunks.into_iter().enumerate().map(numbered).collect()
}

/// The number of parts, from the first part.
pub(crate) fn count(first: &str) -> usize {
    let number = first.strip_prefix("(1/").and_then(|rest| rest.split_once(") "));
    number.and_then(|(count, _)| count.parse().ok()).unwrap_or(1)
}

/// A part without its number.
pub(crate) fn without_number(part: &str) -> &str {
    let numbered = part.strip_prefix('(').and_then(|rest| rest.split_once(") "));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match numbered.and_then(|(number, rest)| Some((number.split_once('/')?, rest))) {
        Some(((at, count), rest)) if is_number(at) && is_number(count) => rest,
        Some(_) | None => part,
    }
}

/// Splits after the last line end, else after the last space, else between two characters.
fn chunks(text: &str, most: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let at = if rest.len() <= most { rest.len() } else { cut(rest, most) };
        let (chunk, tail) = rest.split_at(at);
        rest = tail;
        Some(chunk)
    })
}

fn cut(text: &str, most: usize) -> usize {
    let most = (0..=most).rev().find(|at| text.is_char_boundary(*at)).expect("0 is a boundary");
    // A chunk must be at least half full, or a long line would result in many messages.
    let good = |at: &usize| *at > most / 2;
    let behind = |found: Option<usize>| found.map(|at| at + 1).filter(good);
    let head = &text[..most];
    behind(head.rfind('\n')).or_else(|| behind(head.rfind(' '))).unwrap_or(most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn without_space(text: &str) -> String {
        text.chars().filter(|c| !c.is_whitespace()).collect()
    }

    #[test]
    fn a_short_answer_is_one_message_and_a_long_one_is_numbered() {
        assert_eq!(parts(" hi "), [Body::parse("hi").unwrap()]);
        assert!(parts(" \u{7} ").is_empty());
        let long = parts(&"word ".repeat(8000));
        assert_eq!(long.len(), 3);
        assert!(long[0].as_str().starts_with("(1/3) word") && long[2].as_str().starts_with("(3/3) word"));
        assert_eq!(
            (without_number("(2/3) b"), without_number("(b) c"), without_number("(1/x) d")),
            ("b", "(b) c", "(1/x) d")
        );
        assert_eq!((count(long[0].as_str()), count("(1/x) no"), count("hi")), (3, 1, 1));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn nothing_is_lost(text in "[a-zä€😀]{1,40}([ \n]{1,3}[a-zä€😀]{1,60}){0,20}", times in 1usize..300) {
            let text = text.repeat(times);
            let parts = parts(&text);
            let count = parts.len();
            let joined: String = parts
                .iter()
                .enumerate()
                .map(|(n, part)| match count {
                    1 => part.as_str(),
                    _ => part.as_str().strip_prefix(&format!("({}/{count}) ", n + 1)).unwrap(),
                })
                .collect();
            prop_assert_eq!(without_space(&joined), without_space(&text));
        }
    }
}
