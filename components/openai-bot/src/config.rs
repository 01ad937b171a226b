//! The configuration section `[openai-bot]`, and the servers used.

use std::net::SocketAddr;
use std::time::Duration;

use kit::{Exit, Failure, Secret};
use protocol::UserName;
use reqwest::Url;
use serde::{Deserialize, Serialize};

/// This component's configuration. The API key is not part of it: it is a secret from the environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Whether the launcher runs it; it also needs a key.
    pub enabled: bool,
    /// Its user name.
    pub name: String,
    /// An endpoint with OpenAI's chat completions: the public one, Ollama, vLLM, llama.cpp. The key is sent only there.
    pub base_url: String,
    /// The model to use.
    pub model: String,
    /// Connect timeout of the endpoint.
    #[serde(with = "kit::duration")]
    pub connect_timeout: Duration,
    /// Time limit for the first token.
    #[serde(with = "kit::duration")]
    pub first_token_timeout: Duration,
    /// Time limit between two tokens.
    #[serde(with = "kit::duration")]
    pub idle_timeout: Duration,
    /// Time limit of an answer, including retries.
    #[serde(with = "kit::duration")]
    pub total_timeout: Duration,
    /// Most concurrent requests to the model; further questions wait.
    pub max_concurrent: usize,
    /// Earlier questions and answers of a user that are sent with the next question.
    pub history_turns: usize,
    /// Longest answer; it is cut here, with a remark.
    pub max_reply_bytes: usize,
    /// Messages answered per user and hour; 0 disables the limit.
    pub messages_per_hour: u32,
    /// Tokens per user and hour; 0 disables the limit.
    pub tokens_per_hour: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            name: "openai".to_owned(),
            base_url: "https://api.openai.com/v1".to_owned(),
            model: "gpt-4.1-mini".to_owned(),
            connect_timeout: Duration::from_secs(5),
            first_token_timeout: Duration::from_secs(120),
            idle_timeout: Duration::from_secs(60),
            total_timeout: Duration::from_secs(15 * 60),
            max_concurrent: 4,
            history_turns: 10,
            max_reply_bytes: 64 * 1024,
            messages_per_hour: 100,
            tokens_per_hour: 500_000,
        }
    }
}

/// Parsed values of the configuration.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    pub(crate) name: UserName,
    pub(crate) endpoint: Url,
}

impl Config {
    /// Validates the values, so that the launcher reports errors before anything starts. The message starts with the key.
    ///
    /// # Errors
    /// For the first invalid value.
    pub fn validate(&self) -> Result<(), Failure> {
        self.check().map(drop)
    }

    pub(crate) fn check(&self) -> Result<Checked, Failure> {
        let wrong = |key: &str, what: String| Failure::new(Exit::Config, format!("openai-bot.{key}: {what}"));
        let name = UserName::parse(&self.name).map_err(|error| wrong("name", error.to_string()))?;
        let endpoint = endpoint(&self.base_url).map_err(|what| wrong("base-url", what))?;
        if self.model.trim().is_empty() {
            return Err(wrong("model", "a model must be named".to_owned()));
        }
        let durations = [
            ("connect-timeout", self.connect_timeout),
            ("first-token-timeout", self.first_token_timeout),
            ("idle-timeout", self.idle_timeout),
            ("total-timeout", self.total_timeout),
        ];
        if let Some((key, _)) = durations.iter().find(|(_, duration)| duration.is_zero()) {
            return Err(wrong(key, "must be longer than nothing".to_owned()));
        }
        for (key, value, most) in [
            ("max-concurrent", self.max_concurrent, 1..=256),
            ("history-turns", self.history_turns, 0..=100),
            ("max-reply-bytes", self.max_reply_bytes, 1024..=1024 * 1024),
        ] {
            if !most.contains(&value) {
                return Err(wrong(key, format!("must be from {} to {}", most.start(), most.end())));
            }
        }
        Ok(Checked { name, endpoint })
    }
}

/// The URL of completions. A base URL with a password would appear in logs, and one with a query cannot be extended.
fn endpoint(base: &str) -> Result<Url, String> {
    let url = Url::parse(base).map_err(|error| format!("not a URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("must begin with http:// or https:// and a host".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user name or password; the key is given as OPENAI_API_KEY".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not hold '?' or '#'".to_owned());
    }
    let path = format!("{}/chat/completions", url.path().trim_end_matches('/'));
    let mut endpoint = url;
    endpoint.set_path(&path);
    Ok(endpoint)
}

/// The servers that it uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upstream {
    /// The chat server.
    pub chat: SocketAddr,
    /// The message API, which stores each user's personality.
    pub api: SocketAddr,
}

/// Credentials for the model's endpoint.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The API key. It is sent only to the configured endpoint.
    pub api_key: Secret,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut Config)) -> String {
        let mut config = Config::default();
        change(&mut config);
        let failure = config.check().unwrap_err();
        assert_eq!(failure.exit(), Exit::Config);
        failure.to_string()
    }

    #[test]
    fn the_endpoint_lies_under_the_base_url() {
        let checked = Config::default().check().unwrap();
        assert_eq!(checked.endpoint.as_str(), "https://api.openai.com/v1/chat/completions");
        assert_eq!(
            endpoint("http://127.0.0.1:11434/v1/").unwrap().as_str(),
            "http://127.0.0.1:11434/v1/chat/completions"
        );
    }

    #[test]
    fn bad_values_are_named_with_their_key() {
        assert!(with(|c| c.name = "a b".into()).starts_with("openai-bot.name: a name cannot hold a space"));
        assert!(with(|c| c.base_url = "ftp://x".into()).contains("base-url: must begin with http"));
        assert!(with(|c| c.base_url = "nonsense".into()).contains("base-url: not a URL"));
        let secret = with(|c| c.base_url = "https://user:hunter2@host/v1".into());
        assert!(secret.contains("must not hold a user name") && !secret.contains("hunter2"), "{secret}");
        assert!(with(|c| c.max_concurrent = 0).contains("max-concurrent: must be from 1 to 256"));
        assert!(with(|c| c.idle_timeout = Duration::ZERO).contains("idle-timeout"));
        assert!(with(|c| c.model = " ".into()).contains("openai-bot.model"));
    }
}
