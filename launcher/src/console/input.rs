//! What a request says, as the type of its operation: parameters of the path and the query by the type's own schema, and a body of JSON.

use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::problem::Problem;

/// The largest body; requests are small.
const BODY_BYTES: usize = 64 * 1024;

/// No parameters, or an empty body.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Nothing")]
pub(super) struct Nothing {}

/// The parameters of a request.
pub(super) struct Parameters<T>(pub(super) T);

impl<T: DeserializeOwned + JsonSchema, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let in_path = path.map(|Path(pairs)| pairs).unwrap_or_default();
        let in_query = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.body_text()))?;
        parse(in_path.into_iter().chain(in_query.0)).map(Self)
    }
}

/// Texts by name, as a type's schema wants them: numbers, yes or no, lists with commas.
fn parse<T: DeserializeOwned + JsonSchema>(
    pairs: impl Iterator<Item = (String, String)>,
) -> Result<T, Problem> {
    let schema = SchemaSettings::draft2020_12().with(|it| it.inline_subschemas = true);
    let schema = schema.into_generator().into_root_schema_for::<T>().to_value();
    let known = schema["properties"].as_object().cloned().unwrap_or_default();
    let mut values = Map::new();
    for (name, text) in pairs {
        let Some(property) = known.get(&name) else {
            let names: Vec<&str> = known.keys().map(String::as_str).collect();
            let available = if names.is_empty() { "there are none".to_owned() } else { names.join(", ") };
            return Err(Problem::field(&name, format!("unknown parameter '{name}'; available: {available}")));
        };
        let value = value_of(property, &text)
            .ok_or_else(|| Problem::field(&name, format!("{name}: '{text}' is not a whole number")))?;
        if values.insert(name.clone(), value).is_some() {
            return Err(Problem::field(&name, format!("{name} is given twice")));
        }
    }
    serde_json::from_value(Value::Object(values))
        .map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))
}

fn value_of(property: &Value, text: &str) -> Option<Value> {
    let is = |kind: &str| {
        let types = &property["type"];
        types == kind || types.as_array().is_some_and(|types| types.iter().any(|one| one == kind))
    };
    if is("integer") {
        return text.parse::<u64>().ok().map(Value::from);
    }
    if is("array") {
        return Some(text.split(',').filter(|item| !item.is_empty()).map(Value::from).collect());
    }
    Some(text.into())
}

/// The body of a request: JSON of at most [`BODY_BYTES`]; an empty one is an object without fields.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        // A form of another page could send anything else without asking first.
        if kind.is_none_or(|kind| kind.split(';').next().unwrap_or_default().trim() != "application/json") {
            let detail = "send the body as JSON, with Content-Type: application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
        let bytes = axum::body::to_bytes(request.into_body(), BODY_BYTES).await.map_err(|_| {
            let detail = format!("the body is incomplete, or larger than {BODY_BYTES} bytes");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
        })?;
        let bytes: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        let parsed = serde_json::from_slice(bytes).map(Self);
        parsed.map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize, JsonSchema)]
    struct Asked {
        #[serde(default)]
        component: Vec<String>,
        lines: Option<u32>,
        since: Option<String>,
    }

    fn parsed(pairs: &[(&str, &str)]) -> Result<Asked, Problem> {
        parse(pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())))
    }

    #[test]
    fn parameters_are_what_their_type_says() {
        let asked = parsed(&[("component", "a,b"), ("lines", "5"), ("since", "10")]).unwrap();
        let component = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(asked, Asked { component, lines: Some(5), since: Some("10".to_owned()) });
        assert_eq!(parsed(&[]).unwrap(), Asked { component: Vec::new(), lines: None, since: None });
        for wrong in [("lines", "x"), ("lines", "-1"), ("lines", "99999999999"), ("line", "5")] {
            parsed(&[wrong]).unwrap_err();
        }
        parsed(&[("lines", "5"), ("lines", "6")]).unwrap_err();
    }
}
