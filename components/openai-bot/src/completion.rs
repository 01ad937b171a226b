//! The JSON of chat completions: requests, and pieces of responses.
//!
//! Requests have only the fields that every compatible endpoint supports. Responses are searched for known fields and the rest is ignored,
//! because endpoints do not agree on more than that: see the table in `tests/bot/endpoints.rs`.

use serde::Serialize;
use serde_json::Value;

use crate::problem::Problem;

/// Deepest nesting of content parts that is read.
const CONTENT_DEPTH: usize = 3;

/// The author of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    System,
    User,
    Assistant,
}

/// A message of the conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Message {
    pub(crate) role: Role,
    pub(crate) content: String,
}

/// A request to the model.
#[derive(Debug, Serialize)]
pub(crate) struct Completion<'a> {
    pub(crate) model: &'a str,
    pub(crate) messages: &'a [Message],
    pub(crate) stream: bool,
}

/// One object of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Chunk {
    /// Text of one or several answers; empty if the object only reports costs or keeps the connection open.
    Words {
        choices: Vec<Words>,
        /// The request's cost so far in tokens, if reported.
        tokens: Option<u64>,
    },
    /// The endpoint reports an error.
    Problem(Problem),
    /// Not part of an answer.
    Unknown,
}

/// Text of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Words {
    /// The index of the answer.
    pub(crate) index: u64,
    pub(crate) text: String,
    /// Whether it is the complete answer and not a piece.
    pub(crate) whole: bool,
    /// Whether it is reasoning, which is not shown but proves that the model is working.
    pub(crate) thinking: bool,
    /// Whether the model requests a tool.
    pub(crate) tools: bool,
    pub(crate) finish: Option<Finish>,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    /// It is complete.
    Whole,
    /// The model's length limit.
    Length,
    /// The endpoint's content filter.
    Filtered,
    /// The endpoint failed.
    Failed,
}

/// Parses one object.
///
/// # Errors
/// When it is not JSON.
pub(crate) fn parse(object: &str) -> serde_json::Result<Chunk> {
    let object: Value = serde_json::from_str(object)?;
    if let Some(problem) = Problem::in_place_of_answer(&object) {
        return Ok(Chunk::Problem(problem));
    }
    let tokens = object.pointer("/usage/total_tokens").and_then(Value::as_u64);
    let is_whole = object.get("object").and_then(Value::as_str) == Some("chat.completion");
    let choices = match object.get("choices") {
        Some(Value::Array(choices)) => choices.iter().map(|choice| words(choice, is_whole)).collect(),
        Some(Value::Null) => Vec::new(),
        // Older formats of Ollama and llama.cpp.
        None if ["message", "response", "content", "done"].iter().any(|key| object.get(key).is_some()) => {
            vec![words(&object, false)]
        }
        None if tokens.is_some() => Vec::new(),
        Some(_) | None => return Ok(Chunk::Unknown),
    };
    Ok(Chunk::Words { choices, tokens })
}

fn words(choice: &Value, is_whole: bool) -> Words {
    let delta = choice.get("delta").filter(|delta| !delta.is_null());
    let holder = delta.or_else(|| choice.get("message").filter(|message| !message.is_null()));
    let mut words = Words {
        index: choice.get("index").and_then(Value::as_u64).unwrap_or(0),
        whole: is_whole && delta.is_none(),
        finish: finish(choice),
        ..Words::default()
    };
    match holder {
        Some(Value::Object(fields)) => {
            let field = |key: &str| fields.get(key);
            for content in [field("content"), field("text")].into_iter().flatten() {
                add_content(content, CONTENT_DEPTH, &mut words);
            }
            if let Some(refusal) = field("refusal").and_then(Value::as_str) {
                words.text.push_str(refusal);
            }
            words.tools = ["tool_calls", "function_call"].iter().any(|key| field(key).is_some_and(is_filled));
        }
        // Some endpoints send the text directly.
        Some(content) => add_content(content, CONTENT_DEPTH, &mut words),
        None => {
            let texts = ["text", "content", "response"];
            if let Some(content) =
                texts.iter().find_map(|key| choice.get(key).filter(|value| !value.is_null()))
            {
                add_content(content, CONTENT_DEPTH, &mut words);
            }
        }
    }
    let thoughts = ["reasoning", "reasoning_content", "reasoning_details", "thinking"];
    words.thinking |= thoughts.iter().any(|key| holder.unwrap_or(choice).get(key).is_some_and(is_filled));
    words
}

fn is_filled(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

/// Content is a string, or parts of which some are text: `[{"type":"text","text":"hi"}]`.
fn add_content(content: &Value, depth: usize, words: &mut Words) {
    match content {
        Value::String(text) => words.text.push_str(text),
        Value::Array(parts) if depth > 0 => {
            for part in parts {
                add_content(part, depth - 1, words);
            }
        }
        Value::Object(part) if depth > 0 => {
            let kind = part.get("type").and_then(Value::as_str).unwrap_or("text");
            if kind.contains("thinking") || kind.contains("reasoning") {
                words.thinking = true;
                return;
            }
            let texts = ["text", "refusal", "content", "value"];
            if let Some(text) = texts.iter().find_map(|key| part.get(*key)) {
                add_content(text, depth - 1, words);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {}
    }
}

fn finish(choice: &Value) -> Option<Finish> {
    let text = |key: &str| choice.get(key).and_then(Value::as_str).filter(|reason| !reason.is_empty());
    match text("finish_reason").or_else(|| text("done_reason")) {
        Some("length" | "max_tokens" | "MAX_TOKENS") => Some(Finish::Length),
        Some("content_filter" | "SAFETY" | "sensitive") => Some(Finish::Filtered),
        Some("error") => Some(Finish::Failed),
        Some("null") => None,
        Some(_) => Some(Finish::Whole),
        None => {
            let ended =
                ["done", "stop"].iter().any(|key| choice.get(key).and_then(Value::as_bool) == Some(true));
            ended.then_some(Finish::Whole)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Words {
        match parse(text).unwrap() {
            Chunk::Words { choices, .. } => choices.into_iter().next().unwrap_or_default(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn pieces_of_an_answer() {
        let words = |text: &str, finish| Words { text: text.to_owned(), finish, ..Words::default() };
        assert_eq!(read(r#"{"choices":[{"delta":{"content":"hi"},"index":0}]}"#), words("hi", None));
        assert_eq!(read(r#"{"choices":[{"delta":{"role":"assistant","content":null}}]}"#), words("", None));
        assert_eq!(
            read(r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#),
            words("", Some(Finish::Whole))
        );
        assert_eq!(read(r#"{"choices":[],"usage":{"total_tokens":7}}"#), words("", None));
        assert_eq!(
            read(r#"{"choices":[{"message":{"content":"all"},"finish_reason":"length"}]}"#),
            words("all", Some(Finish::Length))
        );
        assert!(read(r#"{"choices":[{"delta":{"reasoning_content":"hm"}}]}"#).thinking);
        assert_eq!(parse(r#"{"choices":7}"#).unwrap(), Chunk::Unknown);
        assert!(parse("{]").is_err());
    }

    #[test]
    fn what_a_request_cost_is_read_where_it_is_told() {
        let chunk = parse(r#"{"choices":[],"usage":{"prompt_tokens":3,"total_tokens":7}}"#).unwrap();
        assert_eq!(chunk, Chunk::Words { choices: Vec::new(), tokens: Some(7) });
    }
}
