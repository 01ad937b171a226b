//! Why a request to the message API failed.

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The message API could not be reached, or the connection broke: what was asked may or may not have been done.
    #[error("reach the message API")]
    Unreachable(#[source] reqwest::Error),
    /// It is there and cannot do it now: nothing was done, or nobody knows (status 5xx, 408, 425 or 429).
    #[error("the message API cannot do this now: {0}")]
    Unavailable(String),
    /// It refuses: asking again will not help (any other status 4xx).
    #[error("the message API refuses: {0}")]
    Refused(String),
    /// Its answer is not what it should be.
    #[error("understand the message API's answer")]
    Malformed(#[source] reqwest::Error),
}

impl ApiError {
    /// Whether the same request may be answered otherwise later. One that may not must never be repeated.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Unavailable(_) => true,
            Self::Refused(_) | Self::Malformed(_) => false,
        }
    }
}
