//! The end of a component's log, prepared for the screen.

use std::path::Path;

use crate::cli::output;
use crate::log_reader::tail;

/// Lines that can be scrolled through; `launcher logs` has the rest.
const LINES: usize = 500;

/// The last lines, or the error if the file cannot be read.
pub(super) fn end_of(logs: &Path, component: &str) -> Vec<String> {
    match tail::last_lines(&logs.join(format!("{component}.log")), LINES) {
        Ok(lines) => lines.iter().map(|line| plain(&String::from_utf8_lossy(line))).collect(),
        Err(error) => vec![format!("the log cannot be read: {error}")],
    }
}

/// Removes colours and other control sequences, and replaces tabs by spaces.
fn plain(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        text.push_str(before);
        // A control sequence ends with a letter or one of a few symbols; ECMA-48, 5.4.
        let end = after.find(|c: char| ('@'..='~').contains(&c)).map_or(after.len(), |end| end + 1);
        rest = &after[end..];
    }
    text.push_str(rest);
    output::sanitise(text.trim_end_matches('\r')).replace('\t', "    ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_for_terminals_is_left_out() {
        assert_eq!(plain("\x1b[1;31mred\x1b[0m\tplain\r"), "red    plain");
        assert_eq!(plain("half \x1b[31"), "half ");
        assert_eq!(plain("bell\x07"), "bell\u{fffd}");
    }

    #[test]
    fn a_log_that_is_not_there_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(end_of(dir.path(), "nobody"), Vec::<String>::new());
        std::fs::create_dir(dir.path().join("dir.log")).unwrap();
        assert!(end_of(dir.path(), "dir")[0].starts_with("the log cannot be read"));
    }
}
