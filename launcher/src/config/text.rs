//! Values of flags and of the environment: texts whose type follows from their key.

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::schema::Section;

/// Converts a text to the type that the key requires, as far as possible; the value is validated later.
///
/// For a text it is taken unchanged; for a list, commas separate the entries: `http://a,http://b`. Other types are written as in the file.
pub(crate) fn read(section: &Section, key: &str, text: &str) -> Value {
    let as_written = || Value::String(text.to_owned());
    let as_in_file = || DeValue::parse(text).ok().and_then(|value| to_json(value.get_ref()));
    match section.default_of(key) {
        // Quotation marks that the shell left are not part of the text.
        Value::String(_) if text.starts_with('"') => as_in_file().unwrap_or_else(as_written),
        Value::String(_) => as_written(),
        Value::Array(_) if !text.trim_start().starts_with('[') => list(text),
        Value::Null if key == super::schema::COMMAND && !text.trim_start().starts_with('[') => {
            Value::Array(text.split_whitespace().map(Value::from).collect())
        }
        Value::Null => {
            let fitting = as_in_file().filter(|value| section.check(key, value).is_ok());
            fitting.unwrap_or_else(as_written)
        }
        _ => as_in_file().unwrap_or_else(as_written),
    }
}

fn list(text: &str) -> Value {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(Value::from).collect()
}

/// A TOML value as JSON; `None` if JSON has no such value.
pub(crate) fn to_json(value: &DeValue<'_>) -> Option<Value> {
    Some(match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok()?.into(),
        DeValue::Float(number) => {
            serde_json::Number::from_f64(number.as_str().parse().ok()?).map(Value::Number)?
        }
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::Array(values) => {
            Value::Array(values.iter().map(|value| to_json(value.get_ref())).collect::<Option<_>>()?)
        }
        DeValue::Table(table) => Value::Object(object(table)?),
    })
}

fn object(table: &DeTable<'_>) -> Option<serde_json::Map<String, Value>> {
    let entry = |(key, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
        let key: &std::borrow::Cow<'_, str> = key.get_ref();
        Some((key.clone().into_owned(), to_json(value.get_ref())?))
    };
    table.iter().map(entry).collect()
}
