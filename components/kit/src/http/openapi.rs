//! What the OpenAPI 3.1 documents of our servers have in common: schemas of types, and the names of operations.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

/// Generates the schema of a type, by reference if it has a name.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// The schema of `T`.
pub fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// A generator whose references lead into the document.
#[must_use]
pub fn generator() -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12();
    settings.with(|settings| settings.definitions_path = "/components/schemas".into()).into_generator()
}

/// A body or an answer of this media type.
#[must_use]
pub fn content(kind: &str, schema: Schema) -> Value {
    json!({ kind: { "schema": schema } })
}

/// `get_v1_users` for `GET /v1/users`: unique, because a path has each method once.
#[must_use]
pub fn operation_id(method: &str, path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.fold(method.to_owned(), |id, word| format!("{id}_{word}"))
}

/// The schemas that were referred to so far, with descriptions as readers want them.
pub fn definitions(generator: &mut SchemaGenerator) -> Value {
    let mut definitions = generator.take_definitions(true).into();
    plain_descriptions(&mut definitions);
    definitions
}

/// Descriptions come from the types' doc comments: links into the source are meaningless outside it. The schemas are ours and nest a few
/// levels.
fn plain_descriptions(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                match value {
                    Value::String(text) if key == "description" => *text = plain(text),
                    value => plain_descriptions(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(plain_descriptions),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Turns "[`NAME`](path)" and "[`NAME`]" into "`NAME`".
fn plain(text: &str) -> String {
    let mut pieces = text.split("`]");
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let target = piece.strip_prefix('(').and_then(|rest| rest.split_once(')'));
        plain.push('`');
        plain.push_str(target.map_or(piece, |(_, rest)| rest));
    }
    plain.replace("[`", "`")
}

/// The references of a document that lead nowhere, and how many there are in all.
#[must_use]
pub fn dangling(document: &Value) -> (Vec<String>, usize) {
    let text = document.to_string();
    let references = text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next());
    let references: Vec<&str> = references.collect();
    let lost = references.iter().filter(|reference| document.pointer(reference).is_none());
    (lost.map(|reference| (*reference).to_owned()).collect(), references.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_into_the_source_are_taken_out() {
        assert_eq!(plain("at most [`A`](crate::limits::A), or [`B::C`] on"), "at most `A`, or `B::C` on");
        assert_eq!(plain("`a` [b] (c)"), "`a` [b] (c)");
    }

    #[test]
    fn an_operation_is_called_by_its_method_and_path() {
        assert_eq!(operation_id("get", "/v1/state/{owner}/{key}"), "get_v1_state_owner_key");
    }

    #[test]
    fn a_reference_that_leads_nowhere_is_found() {
        let document = json!({ "a": { "$ref": "#/b" }, "b": { "$ref": "#/c/d" } });
        assert_eq!(dangling(&document), (vec!["/c/d".to_owned()], 2));
    }
}
