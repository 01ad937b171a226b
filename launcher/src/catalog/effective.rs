//! The settings that a component receives.
//!
//! A child does not read the configuration file: it receives its settings as they were when the file was checked, so that an incomplete
//! edit can never break a restart.

use serde_json::{Map, Value};

use super::component::Component;
use crate::config::Settings;

/// The environment variable with a component's settings, as JSON.
pub const EFFECTIVE_CONFIG: &str = "P2P_EFFECTIVE_CONFIG";

/// The settings that a component receives, as a partial [`Settings`] tree.
#[must_use]
pub fn effective(component: &Component, settings: &Settings) -> Value {
    let all = serde_json::to_value(settings).expect("settings can be written as JSON");
    let mut seen = Map::new();
    for path in component.settings {
        match path.split_once('.') {
            Some((section, key)) => {
                let table = seen.entry(section).or_insert_with(|| Value::Object(Map::new()));
                table[key] = all[section][key].clone();
            }
            None => {
                seen.insert((*path).to_owned(), all[*path].clone());
            }
        }
    }
    Value::Object(seen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog;

    #[test]
    fn a_component_sees_its_own_settings_and_no_other_secrets() {
        let mut settings = Settings::default();
        settings.store.url = "mongodb://user:hunter2@host".to_owned();
        settings.thermometer.name = "warm".to_owned();
        let chat = effective(catalog::component("chat-server").unwrap(), &settings);
        assert_eq!(chat["thermometer"], serde_json::json!({"name": "warm"}));
        for component in catalog::components() {
            let text = effective(component, &settings).to_string();
            assert_eq!(text.contains("hunter2"), component.name == "message-api", "{text}");
        }
    }

    #[test]
    fn what_a_component_sees_reads_back_as_it_was() {
        let mut settings = Settings::default();
        settings.message_api.listen = "127.0.0.1:9999".parse().unwrap();
        for component in catalog::components() {
            let value = effective(component, &settings);
            let back: Settings = serde_json::from_value(value.clone()).unwrap();
            assert_eq!(effective(component, &back), value, "{}", component.name);
        }
    }
}
