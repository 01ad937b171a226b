//! Why a request to the message API failed.

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The message API could not be reached, or the connection broke: the request may or may not have been executed.
    #[error("reach the message API")]
    Unreachable(#[source] reqwest::Error),
    /// A temporary failure: nothing was done, or the result is unknown (status 5xx, 408, 425 or 429).
    #[error("the message API cannot do this now: {0}")]
    Unavailable(String),
    /// The request was rejected; a retry will not help (any other status 4xx).
    #[error("the message API refuses: {0}")]
    Refused(String),
    /// The response is malformed.
    #[error("understand the message API's answer")]
    Malformed(#[source] reqwest::Error),
}

impl ApiError {
    /// Whether a retry may succeed. A request that is not retryable must never be repeated.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Unavailable(_) => true,
            Self::Refused(_) | Self::Malformed(_) => false,
        }
    }
}
