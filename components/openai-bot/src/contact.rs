//! Tests whether the model's endpoint accepts the key, without asking the model anything.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kit::Failure;
use reqwest::header::{AUTHORIZATION, DATE};
use reqwest::{Response, StatusCode};

use crate::config::{Config, Credentials};
use crate::model::{authorization, client};

/// Time limit of the test.
const PATIENCE: Duration = Duration::from_secs(5);

/// The result of a successful test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// How many seconds our clock is ahead of the endpoint's, in whole seconds.
    pub clock_ahead_s: Option<i64>,
}

/// Why the endpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ContactError {
    /// The configuration is invalid.
    #[error("{0}")]
    Config(Failure),
    /// The key contains invalid characters.
    #[error("OPENAI_API_KEY holds what no key can")]
    BadKey,
    /// It cannot be reached or does not answer in time.
    #[error("{host} cannot be reached: {why}")]
    Unreachable {
        /// The host.
        host: String,
        /// The network or TLS error.
        why: String,
    },
    /// It rejected the key.
    #[error("{host} does not accept the key: status {status}")]
    Refused {
        /// The host.
        host: String,
        /// Its HTTP status.
        status: u16,
    },
}

/// Requests the endpoint's list of models, which is free. TLS must be installed.
///
/// # Errors
/// When the endpoint cannot be reached within 5 s or rejects the key. Any other response counts as success, because not every endpoint has
/// such a list.
pub async fn contact(config: &Config, credentials: &Credentials) -> Result<Contact, ContactError> {
    let mut url = config.check().map_err(ContactError::Config)?.endpoint;
    let host = url.host_str().unwrap_or_default().to_owned();
    let path = url.path().trim_end_matches("/chat/completions").to_owned();
    url.set_path(&format!("{path}/models"));
    let mut request = client(config, &url).get(url).timeout(PATIENCE);
    if let Some(value) = authorization(&credentials.api_key).map_err(|_| ContactError::BadKey)? {
        request = request.header(AUTHORIZATION, value);
    }
    match request.send().await {
        Ok(answer) if matches!(answer.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            Err(ContactError::Refused { host, status: answer.status().as_u16() })
        }
        Ok(answer) => Ok(Contact { clock_ahead_s: clock_ahead(&answer) }),
        Err(error) => Err(ContactError::Unreachable { host, why: transport::http::cause(&error, PATIENCE) }),
    }
}

fn clock_ahead(answer: &Response) -> Option<i64> {
    let theirs = httpdate::parse_http_date(answer.headers().get(DATE)?.to_str().ok()?).ok()?;
    let seconds = |time: SystemTime| i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok();
    Some(seconds(SystemTime::now())? - seconds(theirs)?)
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::HeaderMap;
    use axum::routing::get;
    use kit::Secret;

    use super::*;

    async fn ask(key: &str, base_url: String) -> Result<Contact, ContactError> {
        kit::context::install_tls();
        let config = Config { base_url, ..Config::default() };
        contact(&config, &Credentials { api_key: Secret::new(key.to_owned()) }).await
    }

    async fn endpoint() -> String {
        let models = |headers: HeaderMap| async move {
            let good = headers.get("authorization").is_some_and(|value| value == "Bearer good");
            let status = if good { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
            (status, [("date", "Sat, 21 Nov 2020 08:00:00 GMT")])
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/v1", listener.local_addr().unwrap());
        tokio::spawn(
            async move { axum::serve(listener, Router::new().route("/v1/models", get(models))).await },
        );
        base
    }

    #[tokio::test]
    async fn a_good_key_is_told_from_a_bad_one_and_the_clocks_are_compared() {
        let base = endpoint().await;
        let contact = ask("good", base.clone()).await.unwrap();
        assert!(contact.clock_ahead_s.is_some_and(|ahead| ahead > 3600), "{contact:?}");
        let error = ask("bad", base).await.unwrap_err();
        assert_eq!(error.to_string(), "127.0.0.1 does not accept the key: status 401");
    }

    #[tokio::test]
    async fn who_is_not_there_is_named_and_the_key_is_not() {
        let error = ask("sk-hunter2", "http://127.0.0.1:9/v1".to_owned()).await.unwrap_err().to_string();
        assert!(error.starts_with("127.0.0.1 cannot be reached: ") && !error.contains("hunter2"), "{error}");
        assert!(matches!(ask("two\nlines", endpoint().await).await, Err(ContactError::BadKey)));
        let wrong = ask("key", "ftp://x".to_owned()).await;
        assert!(matches!(wrong, Err(ContactError::Config(_))));
    }
}
