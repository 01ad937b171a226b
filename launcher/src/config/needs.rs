//! What must be well before a component starts: `["db"]`, or `{ db = "ready", migrate = "finished" }`.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The state that one waits for. It follows from the type of what is needed; said, it is checked against that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum NeededState {
    /// It serves.
    Ready,
    /// It has exited with 0.
    Finished,
}

/// Components and groups by name, in the order of the configuration, some with the state that was said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    names: Vec<String>,
    states: BTreeMap<String, NeededState>,
}

impl Needs {
    /// The names with the state that was said.
    pub(super) fn states(&self) -> impl Iterator<Item = (&String, NeededState)> {
        self.states.iter().map(|(name, state)| (name, *state))
    }
}

impl From<Vec<String>> for Needs {
    fn from(names: Vec<String>) -> Self {
        Self { names, states: BTreeMap::new() }
    }
}

impl Deref for Needs {
    type Target = [String];

    fn deref(&self) -> &[String] {
        &self.names
    }
}

impl Serialize for Needs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.states.is_empty() {
            self.names.serialize(serializer)
        } else {
            self.states.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Needs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListOrTable;
        impl<'de> de::Visitor<'de> for ListOrTable {
            type Value = Needs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a list of components and groups, or a table that says of each \"ready\" or \"finished\"",
                )
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, seq: A) -> Result<Needs, A::Error> {
                Vec::deserialize(de::value::SeqAccessDeserializer::new(seq)).map(Needs::from)
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Needs, A::Error> {
                let states = BTreeMap::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Needs { names: states.keys().cloned().collect(), states })
            }
        }
        deserializer.deserialize_any(ListOrTable)
    }
}
