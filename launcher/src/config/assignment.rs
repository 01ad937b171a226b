//! An assignment in some layer, before its key and value are validated.

use serde_json::Value;

use super::misfit::Expansion;
use super::mistake::Mistake;
use super::nearest::nearest;
use super::schema::{self, Section};
use super::source::Source;
use super::text;
use crate::catalog::table;

/// An assignment of a value to a key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Assignment {
    /// The key's path: section and key, or `components`, name and key.
    pub(crate) path: Vec<String>,
    pub(crate) value: Given,
    /// The place of the key.
    pub(crate) key_source: Source,
    /// The place of the value.
    pub(crate) value_source: Source,
    /// The expansions of variables in the value.
    pub(crate) expansions: Vec<Expansion>,
}

/// A value in a layer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Given {
    /// With its type, from the file.
    Value(Value),
    /// As text, from a flag or the environment; its type follows from the key.
    Text(String),
}

/// An assignment whose key exists and whose value fits it.
pub(crate) struct Checked {
    /// `chat-server`, or `components.NAME`.
    pub(crate) table: Vec<String>,
    pub(crate) key: String,
    pub(crate) value: Value,
    pub(crate) source: Source,
    pub(crate) expansions: Vec<Expansion>,
}

impl Assignment {
    /// An assignment from a layer that has only texts.
    pub(crate) fn text(path: &[&str], value: &str, source: Source) -> Self {
        Self {
            path: path.iter().map(|part| (*part).to_owned()).collect(),
            value: Given::Text(value.to_owned()),
            key_source: source.clone(),
            value_source: source,
            expansions: Vec::new(),
        }
    }

    /// Looks up the key, and validates the value against its type.
    pub(crate) fn check(self) -> Result<Checked, Mistake> {
        let full = self.path.join(".");
        let (section, table, key) = match self.locate() {
            Ok(found) => found,
            Err(what) => return Err(Mistake { source: self.key_source, what }),
        };
        let value = match self.value {
            Given::Value(value) => value,
            Given::Text(ref text) => text::read(&section, &key, text),
        };
        let (source, expansions) = (self.value_source, self.expansions);
        match section.check(&key, &value) {
            Ok(()) => Ok(Checked { table, key, value, source, expansions }),
            Err(misfit) => {
                Err(Mistake { source, what: format!("{full}: {}", misfit.describe(&value, &expansions)) })
            }
        }
    }

    fn locate(&self) -> Result<(Section, Vec<String>, String), String> {
        let parts: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let (section, table, key) = match parts.as_slice() {
            [schema::COMPONENTS, name, key] => {
                component_name(name)?;
                (schema::COMPONENT, vec![schema::COMPONENTS, *name], *key)
            }
            [name, key] => {
                let section = schema::section(name).ok_or_else(|| unknown_section(name))?;
                (section, vec![*name], *key)
            }
            [name, ..] if !schema::section_names().any(|known| known == *name) => {
                return Err(unknown_section(name));
            }
            _ => return Err(format!("'{}' is not a key; keys are written SECTION.KEY", self.path.join("."))),
        };
        if section.keys().iter().any(|known| known == key) {
            Ok((section, table.into_iter().map(str::to_owned).collect(), key.to_owned()))
        } else {
            Err(unknown_key(&section, &table.join("."), key))
        }
    }
}

/// Describes a section that does not exist.
pub(crate) fn unknown_section(name: &str) -> String {
    if name == "services" {
        return "unknown section 'services'; your own programs are [components.NAME]".to_owned();
    }
    match nearest(name, schema::section_names()) {
        Some(near) => format!("unknown section '{name}'; did you mean '{near}'?"),
        None => {
            let names: Vec<&str> = schema::section_names().collect();
            format!("unknown section '{name}'; available: {}", names.join(", "))
        }
    }
}

fn unknown_key(section: &Section, table: &str, key: &str) -> String {
    let keys = section.keys();
    if key.contains("key") && section.name == "openai-bot" {
        return format!(
            "unknown key '{table}.{key}'; the API key is a secret: set OPENAI_API_KEY in the environment or in .env"
        );
    }
    match nearest(key, keys.iter().map(String::as_str)) {
        Some(near) => format!("unknown key '{table}.{key}'; did you mean '{near}'?"),
        None => format!("unknown key '{table}.{key}'; available: {}", keys.join(", ")),
    }
}

/// The supervisor takes the name for a file's and an environment variable's, so it must be plain.
pub(crate) fn component_name(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > 40 || !name.chars().all(plain) {
        return Err("a component's name is 1 to 40 lowercase letters, digits and '-'".to_owned());
    }
    if table::is_reserved(name) {
        return Err(format!("'{name}' is a reserved name; choose another name for the component"));
    }
    Ok(())
}
