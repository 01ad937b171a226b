//! Parses the configuration file into assignments, each with its line and column.
//!
//! The parser recovers from errors: a line that is not TOML is reported, and the rest is checked anyway.

use std::path::Path;
use std::sync::Arc;

use protocol::sanitise;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::assignment::{Assignment, Given, unknown_section};
use super::expand::expand;
use super::mistake::Mistake;
use super::schema;
use super::source::{Source, position};
use super::text::to_json;

/// The assignments of a file, and its mistakes: lines that are not TOML, and values where a table is required.
///
/// `get` returns the variables to which texts may refer.
pub(crate) fn read(
    path: &Path,
    text: &str,
    get: &dyn Fn(&str) -> Option<String>,
) -> (Vec<Assignment>, Vec<Mistake>) {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader { path: path.into(), text, get, assignments: Vec::new(), mistakes: Vec::new() };
    for error in errors {
        let offset = error.span().map_or(text.len(), |span| span.start);
        reader.mistake(offset, syntax(text, offset, error.message()));
    }
    let broken_lines: Vec<usize> =
        reader.mistakes.iter().filter_map(|mistake| line(&mistake.source)).collect();
    reader.root(document.get_ref());
    // What the parser recovered from a broken line is a guess; reporting mistakes in it would confuse.
    let is_whole = |source: &Source| line(source).is_none_or(|line| !broken_lines.contains(&line));
    reader.assignments.retain(|assignment| is_whole(&assignment.key_source));
    let syntax = broken_lines.len();
    let mut mistakes = reader.mistakes;
    let others = mistakes.split_off(syntax);
    mistakes.extend(others.into_iter().filter(|mistake| is_whole(&mistake.source)));
    (reader.assignments, mistakes)
}

/// Describes a syntax error, with the key of its line. The value is not shown, because it may be a secret.
fn syntax(text: &str, offset: usize, message: &str) -> String {
    let offset = offset.min(text.len());
    let start = text[..offset].rfind('\n').map_or(0, |end| end + 1);
    let line = text[start..].lines().next().unwrap_or_default();
    let message = sanitise::line(message);
    let Some((key, value)) = line.split_once('=') else { return format!("not TOML: {message}") };
    let (key, value) = (key.trim(), value.trim_start());
    let is_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let key = if !key.is_empty() && key.chars().all(is_key) { key } else { "this line" };
    let is_quoted = value.starts_with(['"', '\'', '[', '{']) || value.is_empty();
    let advice = if is_quoted { "" } else { "; strings need quotation marks" };
    format!("{key}: not TOML: {message}{advice}")
}

fn line(source: &Source) -> Option<usize> {
    match source {
        Source::File { line, .. } => Some(*line),
        Source::Default | Source::Dotenv { .. } | Source::Environment { .. } | Source::Flag { .. } => None,
    }
}

struct Reader<'a> {
    path: Arc<Path>,
    text: &'a str,
    get: &'a dyn Fn(&str) -> Option<String>,
    assignments: Vec<Assignment>,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    fn source(&self, offset: usize) -> Source {
        let (line, column) = position(self.text, offset);
        Source::File { path: Arc::clone(&self.path), line, column }
    }

    fn mistake(&mut self, offset: usize, what: String) {
        let source = self.source(offset);
        self.mistakes.push(Mistake { source, what });
    }

    fn root(&mut self, document: &DeTable<'_>) {
        for (name, value) in in_order(document) {
            match value.get_ref() {
                DeValue::Table(components) if name.get_ref() == schema::COMPONENTS => {
                    self.components(components)
                }
                DeValue::Table(table) if schema::section(name.get_ref()).is_some() => {
                    self.table(&[name.get_ref()], table);
                }
                _ if schema::section_names().any(|known| known == name.get_ref()) => {
                    let what =
                        format!("'{0}' is a section; write [{0}] and its keys below it", name.get_ref());
                    self.mistake(name.span().start, what);
                }
                _ => self.mistake(name.span().start, unknown_section(name.get_ref())),
            }
        }
    }

    fn components(&mut self, components: &DeTable<'_>) {
        for (name, value) in in_order(components) {
            match value.get_ref() {
                DeValue::Table(table) => self.table(&[schema::COMPONENTS, name.get_ref()], table),
                _ => {
                    let what = format!("write [components.{}] and its keys below it", name.get_ref());
                    self.mistake(name.span().start, what);
                }
            }
        }
    }

    fn table(&mut self, path: &[&str], table: &DeTable<'_>) {
        for (key, value) in in_order(table) {
            let full: Vec<String> =
                path.iter().copied().chain([key.get_ref().as_ref()]).map(str::to_owned).collect();
            let json = to_json(value.get_ref()).ok_or_else(|| "the number is out of range".to_owned());
            let mut expansions = Vec::new();
            match json.and_then(|json| expand(json, self.get, &mut expansions)) {
                Ok(json) => self.assignments.push(Assignment {
                    path: full,
                    value: Given::Value(json),
                    key_source: self.source(key.span().start),
                    value_source: self.source(value.span().start),
                    expansions,
                }),
                Err(what) => self.mistake(value.span().start, format!("{}: {what}", full.join("."))),
            }
        }
    }
}

/// A table's entries in the order of the file; the parser sorts them by name.
fn in_order<'t, 'i>(table: &'t DeTable<'i>) -> Vec<(&'t Spanned<DeString<'i>>, &'t Spanned<DeValue<'i>>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}
