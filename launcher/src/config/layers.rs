//! Merges the layers of the configuration into the settings.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::assignment::Assignment;
use super::misfit::Expansion;
use super::mistake::Mistake;
use super::schema::{self, COMMAND};
use super::settings::Settings;
use super::source::Source;

/// The source of each setting that is not a default, by its full key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(BTreeMap<String, (Source, Vec<Expansion>)>);

impl Origins {
    /// The source of a setting, such as `chat-server.listen`.
    #[must_use]
    pub fn of(&self, key: &str) -> Source {
        self.0.get(key).map_or(Source::Default, |(source, _)| source.clone())
    }

    /// The expansions of variables in its value.
    pub(crate) fn expansions(&self, key: &str) -> &[Expansion] {
        self.0.get(key).map_or(&[], |(_, expansions)| expansions)
    }
}

/// The settings tree, which grows layer by layer.
#[derive(Default)]
pub(crate) struct Layers {
    tree: Map<String, Value>,
    origins: Origins,
    mistakes: Vec<Mistake>,
}

impl Layers {
    /// Merges a layer over the previous ones.
    pub(crate) fn lay(&mut self, assignments: impl IntoIterator<Item = Assignment>) {
        for assignment in assignments {
            match assignment.check() {
                Ok(checked) => {
                    let full = format!("{}.{}", checked.table.join("."), checked.key);
                    self.origins.0.insert(full, (checked.source, checked.expansions));
                    table(&mut self.tree, &checked.table).insert(checked.key, checked.value);
                }
                Err(mistake) => self.mistakes.push(mistake),
            }
        }
    }

    /// Adds mistakes found before a layer could be merged.
    pub(crate) fn complain(&mut self, mistakes: impl IntoIterator<Item = Mistake>) {
        self.mistakes.extend(mistakes);
    }

    /// The settings, their sources, and the mistakes.
    pub(crate) fn finish(mut self) -> (Settings, Origins, Vec<Mistake>) {
        let commands = self.take_commands();
        self.tree.insert("commands".to_owned(), Value::Object(commands));
        let settings = serde_json::from_value(Value::Object(self.tree))
            .expect("every key exists and every value was checked against its key's type");
        (settings, self.origins, self.mistakes)
    }

    /// `command` belongs to the launcher, although it is in the component's section.
    fn take_commands(&mut self) -> Map<String, Value> {
        let mut commands = Map::new();
        for (name, section) in &mut self.tree {
            if name != schema::COMPONENTS
                && let Some(command) = section.as_object_mut().and_then(|section| section.remove(COMMAND))
            {
                commands.insert(name.clone(), command);
            }
        }
        commands
    }
}

/// The table at a path, created if it is missing.
fn table<'t>(tree: &'t mut Map<String, Value>, path: &[String]) -> &'t mut Map<String, Value> {
    path.iter().fold(tree, |table, name| {
        let entry = table.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
        entry.as_object_mut().expect("tables hold tables on the way to a key")
    })
}
