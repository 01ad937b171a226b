//! Structured data of a message beside its text: a JSON object of bounded size and depth.
//!
//! It is held as JSON text: as a tree, an object of many small values would take more than twenty times as much memory, and whatever holds messages is
//! bounded by the bytes of their text.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::limits::{METADATA_BYTES, METADATA_DEPTH};
use crate::sanitise;

/// The key that marks messages written by a program: `"automatic": true`. Programs do not answer such messages, which prevents loops
/// between two of them. Clients that show metadata hide this key.
pub const AUTOMATIC: &str = "automatic";

/// A JSON object of at most [`METADATA_BYTES`] bytes, nested at most [`METADATA_DEPTH`] deep. Empty by default.
#[derive(Clone, Default, PartialEq, Eq, schemars::JsonSchema)]
#[schemars(transparent)]
pub struct Metadata(#[schemars(with = "Map<String, Value>")] Option<Arc<str>>);

/// Why a JSON object cannot be metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// More than [`METADATA_BYTES`] bytes of JSON.
    #[error("metadata has at most {METADATA_BYTES} bytes")]
    TooLong,
    /// Nested deeper than [`METADATA_DEPTH`].
    #[error("metadata is nested at most {METADATA_DEPTH} deep")]
    TooDeep,
}

impl Metadata {
    /// Validates an object.
    ///
    /// # Errors
    /// When it is too large or too deep.
    pub fn new(object: Map<String, Value>) -> Result<Self, MetadataError> {
        if object.is_empty() {
            return Ok(Self::default());
        }
        if !object.values().all(|value| fits(value, METADATA_DEPTH - 1)) {
            return Err(MetadataError::TooDeep);
        }
        let json = to_json(&object);
        if json.len() > METADATA_BYTES { Err(MetadataError::TooLong) } else { Ok(Self(Some(json.into()))) }
    }

    /// Whether the object has no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Its size in bytes of JSON; 0 if it is empty.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.as_deref().map_or(0, str::len)
    }

    /// The same, marked as written by a program.
    ///
    /// # Errors
    /// When the mark would exceed the size limit.
    pub fn into_automatic(self) -> Result<Self, MetadataError> {
        let mut object = self.object();
        object.insert(AUTOMATIC.to_owned(), Value::Bool(true));
        Self::new(object)
    }

    /// Whether the message is marked as written by a program.
    #[must_use]
    pub fn is_automatic(&self) -> bool {
        self.names_mark() && self.object().get(AUTOMATIC) == Some(&Value::Bool(true))
    }

    /// The metadata to show to users: everything but [`AUTOMATIC`].
    #[must_use]
    pub fn shown(&self) -> Cow<'_, Self> {
        if !self.names_mark() {
            return Cow::Borrowed(self);
        }
        let mut object = self.object();
        object.shift_remove(AUTOMATIC);
        Cow::Owned(Self::new(object).expect("a part of what fits does"))
    }

    /// Whether the text contains the mark anywhere, so that few objects must be parsed. The text contains no escapes that could hide it.
    fn names_mark(&self) -> bool {
        self.0.as_deref().is_some_and(|json| json.contains(AUTOMATIC))
    }

    /// The object itself.
    #[must_use]
    pub fn object(&self) -> Map<String, Value> {
        let read = |json| serde_json::from_str(json).expect("it was written from an object");
        self.0.as_deref().map(read).unwrap_or_default()
    }

    /// As JSON on one line, without spaces, in the sender's key order.
    #[must_use]
    pub fn as_json(&self) -> &str {
        self.0.as_deref().unwrap_or("{}")
    }

    /// The same as an owned string.
    #[must_use]
    pub fn to_json(&self) -> String {
        self.as_json().to_owned()
    }

    /// The same for a line dialect, a log or a terminal: control characters are escaped.
    #[must_use]
    pub fn to_shown_json(&self) -> String {
        sanitise::json(self.as_json()).into_owned()
    }
}

impl std::fmt::Debug for Metadata {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_json())
    }
}

fn to_json(object: &Map<String, Value>) -> String {
    serde_json::to_string(object).expect("a JSON object of strings and values serialises into memory")
}

/// `depth_left` bounds the recursion by [`METADATA_DEPTH`] for any input.
fn fits(value: &Value, depth_left: usize) -> bool {
    match value {
        Value::Array(items) => depth_left > 0 && items.iter().all(|item| fits(item, depth_left - 1)),
        Value::Object(map) => depth_left > 0 && map.values().all(|item| fits(item, depth_left - 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

impl Serialize for Metadata {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.object().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // `null` is what some clients send for "none".
        let object = <Option<Map<String, Value>>>::deserialize(deserializer)?.unwrap_or_default();
        Self::new(object).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_fits_and_names_what_does_not() {
        let ok: Metadata = serde_json::from_str(r#"{"unit":"C","temps":[1.5,2]}"#).unwrap();
        assert_eq!(ok.to_json(), r#"{"unit":"C","temps":[1.5,2]}"#);
        assert!(serde_json::from_str::<Metadata>("null").unwrap().is_empty());
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(METADATA_BYTES));
        assert!(
            serde_json::from_str::<Metadata>(&long).unwrap_err().to_string().contains("at most 8192 bytes")
        );
        let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(16), "]".repeat(16));
        assert!(serde_json::from_str::<Metadata>(&deep).unwrap_err().to_string().contains("16 deep"));
        assert!(serde_json::from_str::<Metadata>("[1]").is_err());
    }

    #[test]
    fn a_number_stays_the_same_over_any_number_of_hops() {
        for number in
            ["77700000000000000000000000000000000077777777777770.5", "0.1", "1e-7", "6.02214076e23", "-0.0"]
        {
            let first: Metadata = serde_json::from_str(&format!(r#"{{"n":{number}}}"#)).unwrap();
            let again: Metadata = serde_json::from_str(&first.to_json()).unwrap();
            assert_eq!(again, first, "{number}");
            assert_eq!(first.object()["n"].as_f64(), number.parse().ok(), "{number}");
        }
    }

    #[test]
    fn the_mark_of_a_program_is_read_and_not_shown() {
        let read = |text: &str| serde_json::from_str::<Metadata>(text).unwrap();
        let marked = read(r#"{"unit":"C","time":"T"}"#).into_automatic().unwrap();
        assert_eq!(marked.to_json(), r#"{"unit":"C","time":"T","automatic":true}"#);
        assert!(marked.is_automatic() && !marked.shown().is_automatic());
        assert_eq!(marked.shown().to_json(), r#"{"unit":"C","time":"T"}"#);
        assert!(Metadata::default().into_automatic().unwrap().shown().is_empty());
        assert!(!read(r#"{"automatic":false}"#).is_automatic());
        let full = read(&format!(r#"{{"a":"{}"}}"#, "x".repeat(METADATA_BYTES - 8)));
        assert!(full.into_automatic().is_err());
    }

    /// Of this process, in KiB.
    #[cfg(target_os = "linux")]
    fn memory() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn many_small_values_take_no_more_memory_than_their_text() {
        let json = format!(r#"{{"a":[{}[]]}}"#, "[],".repeat(METADATA_BYTES / 3 - 10));
        // What one takes while it is read, and what is given back.
        let first: Metadata = serde_json::from_str(&json).unwrap();
        assert_eq!((first.bytes(), first.as_json()), (json.len(), json.as_str()));
        let before = memory();
        let all: Vec<Metadata> = (0..500).map(|_| serde_json::from_str(&json).unwrap()).collect();
        let taken = memory().saturating_sub(before);
        assert!(taken < 16 * 1024, "{} of 8 KiB take {taken} KiB", all.len());
    }
}
