//! `--set SECTION.KEY=VALUE`.

use super::assignment::Assignment;
use super::mistake::Mistake;
use super::source::Source;

/// Parses the argument.
pub(crate) fn read(text: &str) -> Result<Assignment, Mistake> {
    let Some((key, value)) = text.split_once('=') else {
        let source = Source::Flag { key: text.to_owned() };
        return Err(Mistake { source, what: "write --set SECTION.KEY=VALUE".to_owned() });
    };
    let key = key.trim();
    let path: Vec<&str> = key.split('.').collect();
    Ok(Assignment::text(&path, value, Source::Flag { key: key.to_owned() }))
}
