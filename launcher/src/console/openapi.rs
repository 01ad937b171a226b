//! The OpenAPI 3.1 document, made of the table of operations and their types.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use axum::body::Bytes;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use kit::http::openapi::{content, definitions, generator, operation_id};
use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use super::app::App;
use super::input::Nothing;
use super::operation::{Access, Operation, ROOT};
use super::problem::{self, Problem};
use super::table;

/// The document's own operation; it is in the document as all others are.
pub(super) fn operation() -> Operation {
    Operation::raw::<Nothing, Value, _>("/openapi.json", "application/json", answer)
        .says("Show this document", "Needs no token.")
        .open()
}

/// The document is constant, so it is rendered once: whoever reaches the server may ask for it, as often as they like.
async fn answer(_: Arc<App>, _: Nothing, _: IpAddr) -> Result<Response, Problem> {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    let document = DOCUMENT.get_or_init(|| document().to_string().into()).clone();
    Ok(([(header::CONTENT_TYPE, "application/json")], document).into_response())
}

/// All operations, in the order of the table.
pub(super) fn operations() -> Vec<Operation> {
    table::all().into_iter().chain([operation()]).collect()
}

/// The whole document.
pub(super) fn document() -> Value {
    let mut generator = generator();
    let mut paths = Map::new();
    for operation in operations() {
        let described = describe(&operation, &mut generator);
        let item = paths.entry(operation.path.to_owned()).or_insert_with(|| json!({}));
        item[operation.method] = described;
    }
    let token = json!({
        "type": "http", "scheme": "bearer",
        "description": "`launcher console --token` prints it. Behind a Unix socket none is needed.",
    });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "P2P Chat launcher",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Control of a running launcher. Every error is a problem document (RFC 9457).",
        },
        "servers": [{ "url": ROOT }],
        "paths": paths,
        "components": {
            "schemas": definitions(&mut generator),
            "securitySchemes": { "token": token },
        },
    })
}

fn describe(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let mut described = json!({
        "summary": operation.summary,
        "description": operation.description,
        "operationId": operation_id(operation.method, operation.path),
        "parameters": parameters(operation, generator),
        "responses": responses(operation, generator),
        "security": if operation.access == Access::Open { json!([]) } else { json!([{ "token": [] }]) },
    });
    if let Some(schema) = operation.body {
        described["requestBody"] =
            json!({ "required": true, "content": content("application/json", schema(generator)) });
    }
    described
}

fn parameters(operation: &Operation, generator: &mut SchemaGenerator) -> Vec<Value> {
    let Some(schema) = operation.parameters else { return Vec::new() };
    let schema = schema(generator).to_value();
    let properties = schema["properties"].as_object().cloned().unwrap_or_default();
    let parameter = |(name, mut schema): (String, Value)| {
        let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        let is_in_path = operation.path.contains(&format!("{{{name}}}"));
        let mut parameter = json!({
            "name": name, "in": if is_in_path { "path" } else { "query" }, "required": is_in_path,
            "description": description.unwrap_or_default(), "schema": schema,
        });
        if parameter["schema"]["type"] == "array" {
            // `a,b`, and not `name=a&name=b`.
            parameter["explode"] = false.into();
            parameter["style"] = "form".into();
        }
        parameter
    };
    properties.into_iter().map(parameter).collect()
}

fn responses(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let mut responses = Map::new();
    let done =
        json!({ "description": "Done.", "content": content(operation.kind, (operation.answer)(generator)) });
    responses.insert(operation.status.as_str().to_owned(), done);
    let mut problem = |status: &str, description: &str| {
        let schema = generator.subschema_for::<problem::Document>();
        let content = content("application/problem+json", schema);
        responses.insert(status.to_owned(), json!({ "description": description, "content": content }));
    };
    problem("403", "For a page of another origin, or a change where the console is read-only.");
    problem("422", "A parameter or a field breaks a rule.");
    if operation.access != Access::Open {
        problem("401", "The token is missing or wrong.");
        problem("429", "Too many wrong tokens from this address.");
        problem("503", "The supervisor does not answer now.");
    }
    if operation.access == Access::Change {
        problem("409", "It cannot be done as things are.");
    }
    if operation.path.contains('{') {
        problem("404", "There is nothing of that name.");
    }
    responses.into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_reference_leads_somewhere() {
        let (dangling, count) = kit::http::openapi::dangling(&document());
        assert!(dangling.is_empty() && count > 20, "{count}, {dangling:?}");
    }

    #[test]
    fn every_operation_is_told_of_in_words_and_once() {
        let operations = operations();
        let ids: BTreeSet<String> = operations.iter().map(|it| operation_id(it.method, it.path)).collect();
        assert_eq!(ids.len(), operations.len());
        let document = document();
        for operation in &operations {
            let described = &document["paths"][operation.path][operation.method];
            assert!(!operation.summary.is_empty(), "{}", operation.path);
            for parameter in described["parameters"].as_array().unwrap() {
                assert_ne!(parameter["description"], "", "{} {parameter}", operation.path);
            }
            let in_path = operation.path.matches('{').count();
            let named = described["parameters"].as_array().unwrap().iter().filter(|it| it["in"] == "path");
            assert_eq!(named.count(), in_path, "{}", operation.path);
        }
    }

    /// `| GET | /api/v1/status | … |`
    #[test]
    fn the_documents_table_is_the_list_of_operations() {
        let document = include_str!("../../../docs/console.md");
        let rows = document.lines().filter_map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let path = cells.get(2)?.trim_matches('`').strip_prefix(ROOT)?;
            Some((cells[1].to_owned(), path.to_owned(), cells.get(3)?.trim_end_matches('.').to_owned()))
        });
        let listed: Vec<_> =
            operations().iter().map(|it| (it.verb(), it.path.to_owned(), it.summary.to_owned())).collect();
        assert_eq!(rows.collect::<Vec<_>>(), listed);
    }
}
