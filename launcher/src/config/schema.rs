//! The sections, keys and types of the configuration, derived from the types themselves.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::components::ComponentConfig;
use super::misfit::Misfit;
use super::settings::{LauncherConfig, LogsConfig};

/// The key that replaces a component by another program.
pub(crate) const COMMAND: &str = "command";
/// The section whose tables configure the supervision of components.
pub(crate) const COMPONENTS: &str = "components";

/// A table of the configuration.
#[derive(Clone, Copy)]
pub(crate) struct Section {
    /// Its name.
    pub(crate) name: &'static str,
    /// Whether another program may replace the component.
    replaceable: bool,
    defaults: fn() -> Map<String, Value>,
    fits: fn(Map<String, Value>) -> Result<(), serde_json::Error>,
}

/// The sections with fixed names, in the order of the default file.
pub(crate) const SECTIONS: [Section; 10] = [
    Section::of::<LauncherConfig>("launcher"),
    Section::of::<LogsConfig>("logs"),
    Section::of::<kit::tls::Config>("tls"),
    Section::of::<message_api::StoreConfig>("store"),
    Section::of::<message_api::Config>("message-api").replaceable(),
    Section::of::<chat_server::Config>("chat-server").replaceable(),
    Section::of::<web_adapter::Config>("web-adapter").replaceable(),
    Section::of::<thermometer::Config>("thermometer").replaceable(),
    Section::of::<openai_bot::Config>("openai-bot").replaceable(),
    Section::of::<lan_peer::Config>("lan-peer").replaceable(),
];

/// A table below `components`.
pub(crate) const COMPONENT: Section = Section::of::<ComponentConfig>(COMPONENTS);

/// The section with this name.
pub(crate) fn section(name: &str) -> Option<Section> {
    SECTIONS.into_iter().find(|section| section.name == name)
}

/// The names of tables at the root.
pub(crate) fn section_names() -> impl Iterator<Item = &'static str> {
    SECTIONS.into_iter().map(|section| section.name).chain([COMPONENTS])
}

impl Section {
    const fn of<T: Default + Serialize + DeserializeOwned>(name: &'static str) -> Self {
        Self { name, replaceable: false, defaults: defaults::<T>, fits: fits::<T> }
    }

    const fn replaceable(self) -> Self {
        Self { replaceable: true, ..self }
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = (self.defaults)().keys().cloned().collect();
        if self.replaceable {
            keys.push(COMMAND.to_owned());
        }
        keys
    }

    /// The default of a key; `null` if it has none.
    pub(crate) fn default_of(&self, key: &str) -> Value {
        (self.defaults)().remove(key).unwrap_or(Value::Null)
    }

    /// Validates a value for a key of this section.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn check(&self, key: &str, value: &Value) -> Result<(), Misfit> {
        if self.replaceable && key == COMMAND {
            let command = serde_json::from_value::<Vec<String>>(value.clone());
            return match command {
                Ok(command) if !command.is_empty() => Ok(()),
                _ => Err(Misfit::expecting("a list of texts, the program first")),
            };
        }
        let mut table = (self.defaults)();
        let default = table.insert(key.to_owned(), value.clone()).unwrap_or(Value::Null);
        (self.fits)(table).map_err(|error| Misfit::of(&error, default))
    }
}

fn defaults<T: Default + Serialize>() -> Map<String, Value> {
    match serde_json::to_value(T::default()).expect("a configuration can be written as JSON") {
        Value::Object(table) => table,
        _ => unreachable!("a section of the configuration is a table"),
    }
}

fn fits<T: DeserializeOwned>(table: Map<String, Value>) -> Result<(), serde_json::Error> {
    serde_json::from_value::<T>(Value::Object(table)).map(drop)
}
