//! The OpenAPI 3.1 document, generated from the route table and the wire types.

use kit::http::openapi::{content, definitions, generator, operation_id, schema};
use protocol::api::Problem;
use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use super::operation::Operation;
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

/// The complete document.
pub(super) fn document(routes: &[Route]) -> Value {
    // Optional fields are those that a request may omit; answers have all of them.
    let mut generator = generator();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::routes;

    fn build() -> Value {
        document(&routes::all())
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let (dangling, count) = kit::http::openapi::dangling(&build());
        assert!(dangling.is_empty() && count > 20, "{count}, {dangling:?}");
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
    fn nothing_links_into_the_source() {
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
    }
}
