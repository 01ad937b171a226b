//! Error responses, in the many formats of endpoints and gateways.

use reqwest::StatusCode;
use serde_json::Value;

/// Most characters of an endpoint's text that are shown.
const SAYS_CHARS: usize = 300;
/// Deepest nesting of objects that is searched.
const DEPTH: usize = 3;
/// Keys of error texts, the most informative first.
const TEXT_KEYS: [&str; 9] =
    ["message", "msg", "detail", "details", "description", "reason", "status_msg", "error", "errors"];
/// Texts of endpoints when the conversation exceeds the model's context.
const TOO_LONG: [&str; 14] = [
    "context_length",
    "context length",
    "context size",
    "context window",
    "context_window",
    "exceed_context",
    "max_seq_len",
    "max_model_len",
    "maximum prompt length",
    "prompt is too long",
    "input is too long",
    "too many tokens",
    "tokens_limit_reached",
    "string_above_max_length",
];
/// What may be too long, and phrases for it.
const THINGS: [&str; 5] = ["token", "prompt", "input", "context", "message"];
const EXCESS: [&str; 8] = [
    "too long",
    "too large",
    "exceed",
    "longer than",
    "greater than",
    "less than",
    "maximum",
    "reduce the length",
];

/// An endpoint's error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The endpoint's text, on one line of bounded length. It may contain anything, even the key.
    pub(crate) says: String,
    /// The error code, such as `insufficient_quota`.
    pub(crate) code: String,
}

impl Problem {
    /// Parses the body of an error response.
    pub(crate) fn of_body(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let text = text.trim_start_matches('\u{feff}').trim();
        match serde_json::from_str::<Value>(text) {
            Ok(value) => Self::of_value(&value),
            Err(_) if text.starts_with('<') => Self::default(),
            Err(_) => Self { says: shorten(text), code: String::new() },
        }
    }

    fn of_value(value: &Value) -> Self {
        Self { says: shorten(says(value, DEPTH).unwrap_or_default()), code: code(value).unwrap_or_default() }
    }

    /// The error in an object that was sent in place of an answer, if it has one.
    pub(crate) fn in_place_of_answer(object: &Value) -> Option<Self> {
        let is_said = |key: &str| object.get(key).is_some_and(says_something);
        let is_error = |key: &str| object.get(key).and_then(Value::as_str) == Some("error");
        let minimax = object.pointer("/base_resp/status_code").and_then(Value::as_i64).unwrap_or(0);
        if minimax != 0 {
            return object.get("base_resp").map(Self::of_value);
        }
        let tells = is_said("error")
            || is_said("errors")
            || is_error("object")
            || is_error("type")
            || is_error("status");
        // Without an answer, a message is an error of a gateway.
        let only_message =
            !["choices", "usage", "content", "response", "done"].iter().any(|key| object.get(key).is_some())
                && ["message", "msg", "detail"]
                    .iter()
                    .any(|key| object.get(key).is_some_and(|text| text.is_string() || text.is_array()));
        (tells || only_message).then(|| Self::of_value(object))
    }

    /// Whether a shorter conversation would help.
    pub(crate) fn is_too_long(&self, status: StatusCode) -> bool {
        let text = format!("{} {}", self.code, self.says).to_lowercase();
        let one_of = |words: &[&str]| words.iter().any(|word| text.contains(word));
        match status.as_u16() {
            413 => true,
            401..=404 => false,
            // A limit of tokens per minute is met by waiting, unless a single request exceeds the limit.
            429 => one_of(&["request too large"]),
            500..=599 => one_of(&TOO_LONG),
            _ => one_of(&TOO_LONG) || one_of(&THINGS) && one_of(&EXCESS),
        }
    }

    /// Whether the account has no credit left.
    pub(crate) fn is_no_credit(&self) -> bool {
        self.code == "insufficient_quota"
    }

    /// The code if it is a plain word, for logs.
    pub(crate) fn plain_code(&self) -> Option<String> {
        let is_plain = (1..=40).contains(&self.code.len())
            && self.code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        is_plain.then(|| self.code.clone())
    }
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Bool(true) | Value::Number(_) => true,
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// The first text in a value.
fn says(value: &Value, depth: usize) -> Option<&str> {
    match value {
        Value::String(text) => Some(text).filter(|text| !text.trim().is_empty()).map(String::as_str),
        Value::Array(items) if depth > 0 => items.iter().find_map(|item| says(item, depth - 1)),
        Value::Object(map) if depth > 0 => {
            // A nested error is more informative than the object around it.
            let inner =
                map.get("error").filter(|error| error.is_object()).and_then(|error| says(error, depth - 1));
            inner.or_else(|| TEXT_KEYS.iter().find_map(|key| says(map.get(*key)?, depth - 1)))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The error code.
fn code(value: &Value) -> Option<String> {
    let value = value.as_array().map_or(value, |items| items.first().unwrap_or(value));
    let detail = value.get("error").filter(|error| error.is_object()).unwrap_or(value);
    let word = |key: &str| detail.get(key).and_then(Value::as_str).filter(|word| *word != "error");
    word("code").or_else(|| word("type")).map(str::to_owned)
}

/// Shortens a text to one readable line.
fn shorten(text: &str) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word.chars().take(SAYS_CHARS));
        if line.chars().count() > SAYS_CHARS {
            let mut short: String = line.chars().take(SAYS_CHARS).collect();
            short.push('…');
            return short;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Problem {
        Problem::of_body(text.as_bytes())
    }

    #[test]
    fn the_words_are_found_in_every_shape() {
        for (body, expected) in [
            (r#"{"error":{"message":"no model","type":"t","code":"c"}}"#, "no model"),
            (r#"{"error":"no model"}"#, "no model"),
            (r#"[{"error":{"code":400,"message":"no model","status":"X"}}]"#, "no model"),
            (r#"{"object":"error","message":"no model","code":404}"#, "no model"),
            (r#"{"type":"error","error":{"type":"x","message":"no model"}}"#, "no model"),
            (r#"{"detail":[{"loc":["body"],"msg":"no model"}]}"#, "no model"),
            (r#"{"errors":[{"code":7003,"message":"no model"}],"success":false}"#, "no model"),
            (r#"{"message":"no\n model"}"#, "no model"),
            ("no model", "no model"),
            ("<html>502</html>", ""),
        ] {
            assert_eq!(of(body).says, expected, "{body}");
        }
        assert_eq!(of(&"word ".repeat(1000)).says.chars().count(), SAYS_CHARS + 1);
        assert_eq!(
            of(r#"{"error":{"code":"insufficient_quota"}}"#).plain_code().as_deref(),
            Some("insufficient_quota")
        );
        assert_eq!(of(r#"{"error":{"code":"sk-SECRET"}}"#).plain_code(), None);
    }

    #[test]
    fn an_answer_is_not_taken_for_an_error() {
        let tells = |text: &str| Problem::in_place_of_answer(&serde_json::from_str(text).unwrap()).is_some();
        for answer in [
            r#"{"choices":[],"error":null}"#,
            r#"{"choices":null,"usage":{}}"#,
            r#"{"error":{}}"#,
            r#"{"message":{"content":"hi"},"done":false}"#,
            r#"{"base_resp":{"status_code":0,"status_msg":""}}"#,
        ] {
            assert!(!tells(answer), "{answer}");
        }
        for error in [
            r#"{"error":"x","choices":[]}"#,
            r#"{"message":"no Route matched with those values"}"#,
            r#"{"base_resp":{"status_code":1004,"status_msg":"x"}}"#,
            r#"{"status":"error","msg":"x"}"#,
        ] {
            assert!(tells(error), "{error}");
        }
    }

    /// Texts of real servers (from their sources and public reports).
    const SPELLINGS: [(u16, &str); 19] = [
        (
            400,
            r#"{"error":{"message":"This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.","code":"context_length_exceeded"}}"#,
        ),
        (
            400,
            r#"{"error":{"code":400,"message":"the request exceeds the available context size. try increasing it","type":"exceed_context_size_error","n_ctx":4096}}"#,
        ),
        (
            500,
            r#"{"error":{"code":500,"message":"the request exceeds the available context size","type":"server_error"}}"#,
        ),
        (
            400,
            r#"{"object":"error","message":"This model's maximum context length is 4096 tokens.","type":"BadRequestError","code":400}"#,
        ),
        (
            400,
            r#"{"error":"Trying to keep the first 5000 tokens when context the overflows. The model is loaded with context length of only 4096 tokens"}"#,
        ),
        (
            400,
            r#"{"object":"error","message":"Prompt contains 40000 tokens, too large for model with 32768 maximum context length","code":"3051"}"#,
        ),
        (
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}}"#,
        ),
        (
            400,
            r#"[{"error":{"code":400,"message":"The input token count (2000000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}]"#,
        ),
        (
            422,
            r#"{"error":"Input validation error: `inputs` must have less than 1024 tokens. Given: 1700","error_type":"validation"}"#,
        ),
        (
            422,
            r#"{"error":{"message":"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4097. This exceeds it","type":"invalid_request_error"}}"#,
        ),
        (
            400,
            r#"{"message":"The input (7010 tokens) is longer than the model's context length (4096 tokens)."}"#,
        ),
        (400, r#"{"message":"Input is too long for requested model."}"#),
        (
            400,
            r#"{"code":"Client specified an invalid argument","error":"This model's maximum prompt length is 131072 but the request contains 140000 tokens."}"#,
        ),
        (400, r#"{"detail":"Prompt length 5000 is greater than max_seq_len 4096"}"#),
        (400, r#"{"message":"too many tokens: total number of tokens in the prompt cannot exceed 4081"}"#),
        (
            413,
            r#"{"error":{"code":"tokens_limit_reached","message":"Request body too large for the model."}}"#,
        ),
        (413, "<html>413 Request Entity Too Large</html>"),
        (
            429,
            r#"{"error":{"message":"Request too large for gpt-4 on tokens per min (TPM): Limit 10000, Requested 12000.","code":"rate_limit_exceeded"}}"#,
        ),
        (
            400,
            r#"{"error":{"message":"Please reduce the length of the messages or completion.","type":"invalid_request_error"}}"#,
        ),
    ];

    #[test]
    fn a_conversation_that_is_too_long_is_known_in_every_spelling() {
        let status = |status| StatusCode::from_u16(status).unwrap();
        for (code, body) in SPELLINGS {
            assert!(of(body).is_too_long(status(code)), "{code} {body}");
        }
        for (code, body) in [
            (429, r#"{"error":{"message":"Rate limit exceeded: 10000 tokens per minute"}}"#),
            (401, r#"{"error":{"message":"token exceeds its life"}}"#),
            (400, r#"{"error":{"message":"unknown model"}}"#),
            (500, r#"{"error":{"message":"the maximum number of workers is reached by this message"}}"#),
        ] {
            assert!(!of(body).is_too_long(status(code)), "{code} {body}");
        }
    }
}
