//! Names, fit to be shown.

use protocol::sanitise;

/// Longest name, in characters.
const CHARS: usize = 40;

/// A name without what steers a terminal or cannot be seen, and not long.
pub(crate) fn tidy(name: &str) -> String {
    let text: String = name.chars().take(8 * CHARS).filter(|c| is_seen(*c)).collect();
    text.trim().chars().take(CHARS).collect()
}

fn is_seen(c: char) -> bool {
    c != '\t' && !sanitise::steers(c) && !sanitise::is_invisible(c)
}

/// What this machine is called.
pub(crate) fn of_this_machine() -> String {
    let name = tidy(&std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default());
    if name.is_empty() { "somebody".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_fit_to_show() {
        assert_eq!(tidy(" al\u{1b}[31mi\u{202e}ce\u{200b} \n"), "al[31mice");
        assert_eq!(tidy("\u{200b}\u{feff}"), "");
        assert_eq!(tidy(&"x".repeat(10_000)).len(), CHARS);
    }
}
