//! The JSON of chat completions: what is asked, and the pieces of what comes back. Only the fields that every compatible endpoint
//! has are written, and whatever else comes back is passed over.

use serde::{Deserialize, Serialize};

/// Who said a part of the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    System,
    User,
    Assistant,
}

/// A part of the conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Message {
    pub(crate) role: Role,
    pub(crate) content: String,
}

/// What the model is asked.
#[derive(Debug, Serialize)]
pub(crate) struct Completion<'a> {
    pub(crate) model: &'a str,
    pub(crate) messages: &'a [Message],
    pub(crate) stream: bool,
}

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Some words, and whether they are the last ones.
    Words {
        text: String,
        /// The model thinks aloud, which is not for the user and shows that it is at work.
        thinking: bool,
        finish: Option<Finish>,
    },
    /// The end of the stream.
    Done,
    /// The endpoint gave up in the middle.
    Failed,
}

/// Why an answer is at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    /// It is whole.
    Whole,
    /// It is as long as the model may answer.
    Length,
    /// The endpoint holds it back.
    Filtered,
}

/// What comes instead of a piece is not one.
#[derive(Debug, thiserror::Error)]
#[error("understand the model's answer")]
pub(crate) struct NotAPiece(#[from] serde_json::Error);

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    error: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(alias = "message")]
    delta: Option<Delta>,
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Delta {
    content: Option<String>,
    #[serde(alias = "reasoning")]
    reasoning_content: Option<String>,
}

/// Reads the data of one event, or the whole body of an endpoint that does not stream.
pub(crate) fn parse(data: &str) -> Result<Piece, NotAPiece> {
    if data.trim() == "[DONE]" {
        return Ok(Piece::Done);
    }
    let chunk: Chunk = serde_json::from_str(data)?;
    if chunk.error.is_some() {
        return Ok(Piece::Failed);
    }
    let Some(choice) = chunk.choices.into_iter().next() else {
        return Ok(Piece::Words { text: String::new(), thinking: false, finish: None });
    };
    let delta = choice.delta.unwrap_or_default();
    let finish = choice.finish_reason.as_deref().map(|reason| match reason {
        "length" => Finish::Length,
        "content_filter" => Finish::Filtered,
        _ => Finish::Whole,
    });
    let thinking = delta.reasoning_content.is_some_and(|text| !text.is_empty());
    Ok(Piece::Words { text: delta.content.unwrap_or_default(), thinking, finish })
}

/// What an endpoint says beside an error's status, as far as it is a plain word: its own text may hold anything, even the key.
pub(crate) fn error_code(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Problem {
        error: Detail,
    }
    #[derive(Deserialize)]
    struct Detail {
        code: Option<serde_json::Value>,
        #[serde(rename = "type")]
        kind: Option<serde_json::Value>,
    }
    let detail = serde_json::from_slice::<Problem>(body).ok()?.error;
    let word = |value: Option<serde_json::Value>| value?.as_str().map(str::to_owned);
    let code = word(detail.code).or_else(|| word(detail.kind))?;
    let plain = code.len() <= 40 && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    plain.then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str, finish: Option<Finish>) -> Piece {
        Piece::Words { text: text.to_owned(), thinking: false, finish }
    }

    #[test]
    fn pieces_of_an_answer() {
        let read = |text: &str| parse(text).unwrap();
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
        assert_eq!(read(" [DONE] "), Piece::Done);
        assert_eq!(read(r#"{"error":{"message":"overloaded"}}"#), Piece::Failed);
        assert!(matches!(
            read(r#"{"choices":[{"delta":{"reasoning_content":"hm"}}]}"#),
            Piece::Words { thinking: true, .. }
        ));
        for bad in ["", "<html>", "[]", r#"{"choices":7}"#] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_plain_words_of_an_error_are_used() {
        assert_eq!(
            error_code(br#"{"error":{"message":"x","type":"t","code":"insufficient_quota"}}"#).as_deref(),
            Some("insufficient_quota")
        );
        assert_eq!(error_code(br#"{"error":{"code":"sk-SECRET"}}"#), None);
        assert_eq!(error_code(b"oops"), None);
    }
}
