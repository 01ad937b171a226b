//! Suggestions for misspelled names.

/// The candidate with the smallest edit distance, if it is close enough to be a typing mistake.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Longer than any key; comparing it would only cost time.
    if name.len() > 64 {
        return None;
    }
    let limit = (name.chars().count() / 3).max(1) + 1;
    let by_distance = candidates.into_iter().map(|candidate| (distance(name, candidate), candidate));
    by_distance.filter(|(distance, _)| *distance <= limit).min_by_key(|(d, _)| *d).map(|(_, name)| name)
}

/// The number of insertions, deletions, substitutions and transpositions (optimal string alignment) between two texts.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (fold(from).collect(), fold(to).collect());
    let mut before_last = vec![0; to.len() + 1];
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for i in 1..=from.len() {
        let mut row = vec![i; to.len() + 1];
        for j in 1..=to.len() {
            let substitution = last[j - 1] + usize::from(from[i - 1] != to[j - 1]);
            row[j] = substitution.min(last[j] + 1).min(row[j - 1] + 1);
            let swapped = i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1];
            if swapped {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}

/// `_` and `-`, upper and lower case are equivalent.
fn fold(text: &str) -> impl Iterator<Item = char> {
    text.chars().map(|c| if c == '_' { '-' } else { c.to_ascii_lowercase() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_pen_are_recognised_and_other_words_are_not() {
        let keys = ["listen", "max-connections", "quiet", "burst"];
        assert_eq!(nearest("lisen", keys), Some("listen"));
        assert_eq!(nearest("lsiten", keys), Some("listen"));
        assert_eq!(nearest("max_connections", keys), Some("max-connections"));
        assert_eq!(nearest("Max-Conections", keys), Some("max-connections"));
        assert_eq!(nearest("quite", keys), Some("quiet"));
        assert_eq!(nearest("temperature", keys), None);
        assert_eq!(nearest(&"x".repeat(1000), keys), None);
    }
}
