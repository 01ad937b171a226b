//! Expands `${NAME}` in the configuration file to the value of a variable of the environment or of `.env`. `${NAME:-TEXT}` is TEXT if that
//! is unset or empty, and `$${` is a literal `${`.
//!
//! Only texts are expanded, after the file was parsed: the value of a variable can never become another key or section.

use serde_json::Value;

use super::misfit::Expansion;

/// Expands every text in a value, and adds each expansion to `expansions`.
///
/// # Errors
/// Which variable is missing or what is malformed; never the value of a variable.
pub(super) fn expand(
    value: Value,
    get: &dyn Fn(&str) -> Option<String>,
    expansions: &mut Vec<Expansion>,
) -> Result<Value, String> {
    Ok(match value {
        Value::String(written) if written.contains("${") => {
            let value = text_of(&written, get)?;
            expansions.push(Expansion { value: value.clone(), written });
            Value::String(value)
        }
        Value::Array(values) => {
            let values = values.into_iter().map(|value| expand(value, get, expansions));
            Value::Array(values.collect::<Result<_, _>>()?)
        }
        Value::Object(entries) => {
            let entries = entries.into_iter().map(|(key, value)| Ok((key, expand(value, get, expansions)?)));
            Value::Object(entries.collect::<Result<_, String>>()?)
        }
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other,
    })
}

fn text_of(text: &str, get: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, reference) = rest.split_at(start);
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = &reference[2..];
            continue;
        }
        expanded.push_str(before);
        let (inside, after) =
            reference[2..].split_once('}').ok_or("'${' has no '}'; write '$${' for '${' itself")?;
        expanded.push_str(&value_of(inside, get)?);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn value_of(inside: &str, get: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(is_name) {
        return Err(format!("'{name}' is not the name of a variable; write ${{NAME}} or ${{NAME:-TEXT}}"));
    }
    match (get(name).filter(|value| !value.is_empty() || default.is_none()), default) {
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(format!("${{{name}}} is not set, neither in the environment nor in .env")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn expanded(value: Value) -> Result<Value, String> {
        let get = |name: &str| match name {
            "HOST" => Some("a.example".to_owned()),
            "EMPTY" => Some(String::new()),
            "TRICKY" => Some("${HOST}\"\n[store]".to_owned()),
            _ => None,
        };
        expand(value, &get, &mut Vec::new())
    }

    #[test]
    fn texts_are_expanded_wherever_they_are_and_once() {
        let value = json!({"url": "http://${HOST}:1/${EMPTY}", "list": ["${NO:-x y}", "${EMPTY:-z}", 5, "$HOST", "$${HOST}"]});
        let expected = json!({"url": "http://a.example:1/", "list": ["x y", "z", 5, "$HOST", "${HOST}"]});
        assert_eq!(expanded(value).unwrap(), expected);
        assert_eq!(expanded(json!("${TRICKY}")).unwrap(), json!("${HOST}\"\n[store]"));
    }

    #[test]
    fn what_is_missing_or_broken_is_named() {
        for (text, what) in [
            ("a ${NO} b", "${NO} is not set"),
            ("${HOST", "has no '}'"),
            ("${a b}", "'a b' is not the name"),
            ("${}", "'' is not"),
        ] {
            let error = expanded(json!([text])).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
    }
}
