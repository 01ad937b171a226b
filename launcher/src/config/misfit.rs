//! Describes a value that does not fit its key: what was found and what is expected.

use std::net::SocketAddr;

use protocol::sanitise;
use serde_json::Value;

use super::nearest::nearest;
use crate::supervisor::NoConsoleAddress;

/// The maximum number of characters shown of a value.
const SHOWN: usize = 80;
const ADDRESS: &str = "an IP address with a port, such as 127.0.0.1:5000";
const DURATION: &str = "a time with its unit, such as 20ms, 5s, 2m, 1h or 7d";

/// A text with expanded variables, and its form in the file. The values of variables may be secrets and are never shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expansion {
    /// The expanded text.
    pub(crate) value: String,
    /// The text with `${NAME}`.
    pub(crate) written: String,
}

/// Why a value does not fit.
#[derive(Debug, PartialEq)]
pub(crate) struct Misfit {
    /// What is expected, if known.
    expected: Option<String>,
    /// Serde's error, which may repeat the value.
    reason: String,
    default: Value,
}

impl Misfit {
    /// From serde's error on a value for a key with this default.
    pub(crate) fn of(error: &serde_json::Error, default: Value) -> Self {
        let reason = error.to_string();
        let expected = by_default(&default).map(str::to_owned).or_else(|| by_reason(&reason));
        Self { expected, reason, default }
    }

    /// A misfit of a key that accepts only this.
    pub(crate) fn expecting(what: &str) -> Self {
        Self { expected: Some(what.to_owned()), reason: String::new(), default: Value::Null }
    }

    /// A sentence without the key.
    pub(crate) fn describe(&self, value: &Value, expansions: &[Expansion]) -> String {
        let value_shown = shown(value, expansions);
        if let Some(unknown) = unknown_key(&self.reason) {
            return unknown;
        }
        let what = match (&self.expected, value) {
            (Some(expected), Value::Array(_)) => {
                format!("{value_shown} contains a value that is not {expected}")
            }
            (Some(expected), Value::Object(_)) => format!("contains a value that is not {expected}"),
            (Some(expected), _) => format!("{value_shown} is not {expected}{}", self.near(value)),
            (None, _) if expansions.is_empty() => {
                format!("{value_shown} is invalid: {}", sanitise::short_line(&self.reason, 200))
            }
            (None, _) => format!("{value_shown} is invalid"),
        };
        match &self.default {
            Value::Null => what,
            default => format!("{what}; the default is {default}"),
        }
    }

    fn near(&self, value: &Value) -> String {
        let words = variants(&self.reason).unwrap_or_default();
        let near = value.as_str().and_then(|text| nearest(text, words));
        near.map(|near| format!("; did you mean '{near}'?")).unwrap_or_default()
    }
}

/// A value for display: short, on one line, without the values of variables and without passwords.
pub(crate) fn shown(value: &Value, expansions: &[Expansion]) -> String {
    let text = value.to_string();
    if text.contains("://") && text.contains('@') {
        return "the value (not shown: it may hold a password)".to_owned();
    }
    let written = expansions.iter().fold(text, |text, expansion| replace(&text, expansion));
    sanitise::short_line(&written, SHOWN).into_owned()
}

/// Removes the values of variables from a sentence. Values shorter than any secret stay, because they occur in ordinary words.
pub(crate) fn hide(text: String, expansions: &[Expansion]) -> String {
    let long = expansions.iter().filter(|expansion| expansion.value.len() >= kit::secret::SHORTEST);
    long.fold(text, |text, expansion| text.replace(&expansion.value, &expansion.written))
}

/// Replaces the escaped value in JSON by the escaped form of the file.
fn replace(json: &str, expansion: &Expansion) -> String {
    let escaped = |text: &str| Value::from(text).to_string();
    json.replace(&escaped(&expansion.value), &escaped(&expansion.written))
}

fn by_default(default: &Value) -> Option<&'static str> {
    let text = default.as_str()?;
    if text.parse::<SocketAddr>().is_ok() {
        Some(ADDRESS)
    } else if kit::duration::parse(text).is_ok() {
        Some(DURATION)
    } else {
        None
    }
}

fn by_reason(reason: &str) -> Option<String> {
    if let Some(words) = variants(reason) {
        return Some(format!("one of {}", words.join(", ")));
    }
    if reason.contains("is not a duration") {
        return Some(DURATION.to_owned());
    }
    let known = match reason.split(" at line ").next()? {
        "invalid socket address syntax" => ADDRESS,
        text if text == NoConsoleAddress.to_string() => text,
        "invalid IP address syntax" => "an IP address, such as 127.0.0.1",
        _ => "",
    };
    if !known.is_empty() {
        return Some(known.to_owned());
    }
    let (_, expected) = reason.rsplit_once(", expected ")?;
    Some(match expected {
        "a boolean" => "true or false".to_owned(),
        "u16" => "an integer from 0 to 65535".to_owned(),
        "u8" | "u32" | "u64" | "usize" => "a non-negative integer".to_owned(),
        "a string" | "a borrowed string" => "a string in quotation marks".to_owned(),
        "a sequence" => "a list, such as [\"a\", \"b\"]".to_owned(),
        map if map == "a map" || map.starts_with("struct ") => {
            "a table, such as { key = \"value\" }".to_owned()
        }
        other => other.to_owned(),
    })
}

/// The unknown key within a table, from "unknown field `x`, expected one of `a`, `b`".
fn unknown_key(reason: &str) -> Option<String> {
    let (key, expected) = reason.strip_prefix("unknown field `")?.split_once("`, expected ")?;
    let keys: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    Some(match nearest(key, keys.iter().copied()) {
        Some(near) => format!("unknown key '{}'; did you mean '{near}'?", sanitise::short_line(key, SHOWN)),
        None => format!("unknown key '{}'; available: {}", sanitise::short_line(key, SHOWN), keys.join(", ")),
    })
}

/// The variants of an enumeration, from "unknown variant `x`, expected `a` or `b`".
fn variants(reason: &str) -> Option<Vec<&str>> {
    let (_, expected) = reason.strip_prefix("unknown variant ")?.split_once(", expected ")?;
    Some(expected.split('`').skip(1).step_by(2).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_variables_hold_is_shown_as_it_is_written() {
        let expansion = Expansion { value: "hunter2".to_owned(), written: "${PW}".to_owned() };
        assert_eq!(shown(&Value::from("hunter2"), std::slice::from_ref(&expansion)), "\"${PW}\"");
        assert_eq!(hide("'hunter2' is bad".to_owned(), &[expansion]), "'${PW}' is bad");
        let short = Expansion { value: "x".to_owned(), written: "${X}".to_owned() };
        assert_eq!(shown(&Value::from("x"), std::slice::from_ref(&short)), "\"${X}\"");
        assert_eq!(hide("an example".to_owned(), &[short]), "an example");
        assert!(!shown(&Value::from("http://u:hunter2@h"), &[]).contains("hunter2"));
    }
}
