//! The OpenAPI 3.1 document, generated from the route table and the wire types.

use protocol::api::Problem;
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::operation::{Operation, schema};
use super::route::{Access, Route};

impl Operation {
    fn describe(&self, route: &Route, generator: &mut SchemaGenerator) -> Value {
        let mut operation = json!({
            "summary": self.summary,
            "description": self.description,
            "operationId": operation_id(self.method, route.path),
            "tags": [if route.access == Access::Token { "For servers and services" } else { "For everybody" }],
            "parameters": self.parameters(route.path),
            "responses": self.responses(route.access, generator),
        });
        if let Some(schema) = self.body {
            operation["requestBody"] =
                json!({ "required": true, "content": content("application/json", schema(generator)) });
        }
        match route.access {
            Access::Open => {}
            Access::Local => operation["security"] = json!([{}, { "token": [] }]),
            Access::Token => operation["security"] = json!([{ "token": [] }]),
        }
        operation
    }

    fn parameters(&self, path: &str) -> Vec<Value> {
        let in_path = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let in_path = in_path.map(
            |name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }),
        );
        let in_query = self.query.iter().map(|(name, description)| {
            json!({ "name": name, "in": "query", "description": description, "schema": { "type": "string" } })
        });
        in_path.chain(in_query).collect()
    }

    fn responses(&self, access: Access, generator: &mut SchemaGenerator) -> Value {
        let mut responses = Map::new();
        if let Some((kind, schema)) = self.answer {
            responses.insert(
                "200".into(),
                json!({ "description": "Done.", "content": content(kind, schema(generator)) }),
            );
        }
        let mut problem = |status: &str, description: &str| {
            let content = content("application/json", schema::<Problem>(generator));
            responses.insert(status.into(), json!({ "description": description, "content": content }));
        };
        if access != Access::Open {
            problem("401", "The service token is missing or wrong.");
            problem("403", "For a page of another origin, or under a service's name without its token.");
            problem("422", "Something breaks a rule; `field` names it.");
            problem("503", "The store cannot do it now.");
        }
        responses.into()
    }
}

fn content(kind: &str, schema: Schema) -> Value {
    json!({ kind: { "schema": schema } })
}

fn operation_id(method: &str, path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.fold(method.to_owned(), |id, word| format!("{id}_{word}"))
}

/// The complete document.
pub(super) fn document(routes: &[Route]) -> Value {
    // Optional fields are those that a request may omit; answers have all of them.
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    for route in routes.iter().filter(|route| !route.operations.is_empty()) {
        let operations = route.operations.iter();
        let item: Map<_, _> = operations
            .map(|operation| (operation.method.to_owned(), operation.describe(route, &mut generator)))
            .collect();
        paths.insert(route.path.to_owned(), item.into());
    }
    let token = json!({
        "type": "http", "scheme": "bearer",
        "description": "Made fresh at each start and handed to the other servers and services. Programs on this machine need none for the endpoints for everybody.",
    });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "P2P Chat message API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Where messages are stored and read. Any error is a `Problem`: what was wrong, and in which field.",
        },
        "paths": paths,
        "components": { "schemas": definitions(&mut generator), "securitySchemes": { "token": token } },
    })
}

fn definitions(generator: &mut SchemaGenerator) -> Value {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::routes;

    fn build() -> Value {
        document(&routes::all())
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = build();
        let text = document.to_string();
        let references: Vec<&str> =
            text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert!(references.len() > 20);
        for reference in references {
            assert!(document.pointer(reference).is_some(), "{reference}");
        }
    }

    #[test]
    fn the_numbers_are_those_that_are_checked() {
        use protocol::limits::{BATCH_DRAFTS, METADATA_BYTES, PAGE_EVENTS};
        let document = build();
        let says = |path: &str, number: u64| {
            let text = document["paths"][path].to_string();
            let numbers: Vec<u64> =
                text.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
            assert!(numbers.contains(&number), "{number} in {text}");
        };
        says("/v1/append", BATCH_DRAFTS as u64);
        says("/v1/users/{user}/unseen", PAGE_EVENTS as u64);
        says("/v1/users/{user}/conversations", PAGE_EVENTS as u64);
        says("/v1/conversations/{id}/events", PAGE_EVENTS as u64);
        says("/v1/state/{owner}/{key}", crate::store::STATE_KEYS);
        says("/v1/state/{owner}/{key}", METADATA_BYTES as u64);
    }

    #[test]
    fn links_into_the_source_are_taken_out() {
        assert_eq!(plain("at most [`A`](crate::limits::A), or [`B::C`] on"), "at most `A`, or `B::C` on");
        assert_eq!(plain("`a` [b] (c)"), "`a` [b] (c)");
        assert!(!build().to_string().contains("crate::"));
    }

    #[test]
    fn operation_ids_are_unique() {
        let document = build();
        let paths = document["paths"].as_object().unwrap();
        let ids: Vec<_> = paths
            .values()
            .flat_map(|item| item.as_object().unwrap().values())
            .map(|o| &o["operationId"])
            .collect();
        let unique: std::collections::HashSet<_> = ids.iter().map(|id| id.as_str().unwrap()).collect();
        assert_eq!(unique.len(), ids.len());
        assert_eq!(operation_id("get", "/v1/state/{owner}/{key}"), "get_v1_state_owner_key");
    }
}
