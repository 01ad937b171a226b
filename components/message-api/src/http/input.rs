//! Parses bodies, paths and queries; errors name the field.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use protocol::UserName;
use protocol::api::{PostMessage, SeenMessages};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use super::problem::Refusal;

/// Bodies are sent at once; a client that takes longer is broken, or holds memory on purpose.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
/// Bodies up to this size need no permit; nearly all messages are shorter.
const SMALL_BODY: u64 = 8 * 1024;
/// Larger bodies, of programs without the token, that are read concurrently. Overflow rule: a further one waits before it is read, and is
/// rejected after [`BODY_TIMEOUT`].
const LARGE_BODIES: usize = 64;

static LARGE: Semaphore = Semaphore::const_new(LARGE_BODIES);

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let bytes = read(request, state).await?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| malformed(&error))
    }
}

async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Refusal> {
    match tokio::time::timeout(BODY_TIMEOUT, Bytes::from_request(request, state)).await {
        // Some editors and shells put a byte order mark before UTF-8, which JSON does not allow.
        Ok(Ok(bytes)) if bytes.starts_with(BYTE_ORDER_MARK) => Ok(bytes.slice(BYTE_ORDER_MARK.len()..)),
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(Refusal::too_large()),
        Ok(Err(_)) => Err(Refusal::new(StatusCode::BAD_REQUEST, "the body broke off")),
        Err(_) => Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body did not come")),
    }
}

/// Serde's text names a missing field; for other errors it has what was found and where.
fn malformed(error: &serde_json::Error) -> Refusal {
    let text = error.to_string();
    if error.is_syntax() || error.is_eof() {
        return Refusal::field("body", format!("the body is not JSON: {text}"));
    }
    let missing = text.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
    Refusal::field(missing.unwrap_or("body").to_owned(), text.clone())
}

/// A message as existing programs post it, read field by field so that each error has its field.
pub(super) struct Posted(pub(super) PostMessage);

impl<S: Send + Sync> FromRequest<S> for Posted {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        parse_message(&read_in_turn(request, state).await?).map(Self)
    }
}

/// Like [`read`], but large bodies wait for a permit.
async fn read_in_turn<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Refusal> {
    let announced =
        request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length <= SMALL_BODY) {
        return read(request, state).await;
    }
    let Ok(place) = tokio::time::timeout(BODY_TIMEOUT, LARGE.acquire()).await else {
        let detail = "too many long messages are sent at once; try again in a moment";
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, detail));
    };
    let _place = place.expect("the semaphore is never closed");
    read(request, state).await
}

/// What was read of the messages of a user: [`SeenMessages`].
pub(super) struct Seen(pub(super) SeenMessages);

impl<S: Send + Sync> FromRequest<S> for Seen {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let bytes = read_in_turn(request, state).await?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| malformed(&error))
    }
}

fn parse_message(bytes: &[u8]) -> Result<PostMessage, Refusal> {
    let body: Value = serde_json::from_slice(bytes).map_err(|error| malformed(&error))?;
    let Value::Object(mut body) = body else {
        return Err(Refusal::field("body", "the body must be a JSON object"));
    };
    Ok(PostMessage {
        sender: name(&mut body, "sender")?,
        destination: name(&mut body, "destination")?,
        message: required(&mut body, "message")?,
        timestamp: optional(&mut body, "timestamp")?,
        kind: optional(&mut body, "type")?.unwrap_or_default(),
        metadata: optional(&mut body, "metadata")?.unwrap_or_default(),
    })
}

/// JSON accepts every name that any version ever accepted; here the name must be valid for a new message.
fn name(body: &mut Map<String, Value>, field: &'static str) -> Result<UserName, Refusal> {
    let name: UserName = required(body, field)?;
    name.check().map_err(|error| Refusal::field(field, format!("{field}: {error}")))?;
    Ok(name)
}

fn required<T: DeserializeOwned>(body: &mut Map<String, Value>, field: &'static str) -> Result<T, Refusal> {
    let value =
        body.remove(field).ok_or_else(|| Refusal::field(field, format!("{field}: field required")))?;
    read_field(field, value)
}

/// Many clients send `null` for "none".
fn optional<T: DeserializeOwned>(
    body: &mut Map<String, Value>,
    field: &'static str,
) -> Result<Option<T>, Refusal> {
    match body.remove(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => read_field(field, value).map(Some),
    }
}

fn read_field<T: DeserializeOwned>(field: &'static str, value: Value) -> Result<T, Refusal> {
    serde_json::from_value(value).map_err(|error| Refusal::field(field, format!("{field}: {error}")))
}

/// Parses a part of the path.
pub(super) fn path<T, E: std::fmt::Display>(
    field: &'static str,
    text: &str,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<T, Refusal> {
    parse(text).map_err(|error| Refusal::field(field, format!("{field}: {error}")))
}

/// The query of a request.
pub(super) struct Asked<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(error) => Err(bad_query(&error)),
        }
    }
}

fn bad_query(error: &QueryRejection) -> Refusal {
    // Serde_urlencoded's text "field: what is wrong" follows axum's own.
    let text = error.body_text();
    let text = text.rsplit_once("query string: ").map_or(text.as_str(), |(_, text)| text);
    let field = text.split_once(':').map_or("query", |(field, _)| field);
    Refusal::field(field.to_owned(), text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn hostile_bodies_get_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse_message(&bytes);
        }

        #[test]
        fn a_body_of_the_wrong_shape_names_its_field(number in any::<i64>()) {
            for field in ["sender", "destination", "message", "timestamp", "type", "metadata"] {
                let mut body = serde_json::json!({"sender": "a", "destination": "b", "message": "c"});
                body[field] = number.into();
                let refusal = parse_message(body.to_string().as_bytes()).unwrap_err();
                prop_assert_eq!(refusal.status(), StatusCode::UNPROCESSABLE_ENTITY);
                let (told, named) = (format!("{refusal:?}"), format!("Some({field:?})"));
                prop_assert!(told.contains(&named), "{}", told);
            }
        }
    }
}
