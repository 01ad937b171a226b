//! Retries requests to the message API that may be repeated.

use std::time::Duration;

use kit::backoff::Backoff;
use kit::failure::chain;

use crate::api::ApiError;

/// The message API restarts within a second; longer delays would only postpone the answer.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Retries while the message API cannot be reached or fails temporarily. Only for idempotent requests.
///
/// # Errors
/// When the message API rejects the request or its response is malformed: a retry would not help.
pub async fn retry<A, F>(mut ask: impl FnMut() -> F) -> Result<A, ApiError>
where
    F: Future<Output = Result<A, ApiError>>,
{
    let mut backoff = Backoff::new(LONGEST_WAIT / 10, LONGEST_WAIT);
    loop {
        match ask().await {
            Err(error) if error.is_retryable() => {
                tracing::warn!(error = chain(&error), "the message API does not answer; retrying");
                tokio::time::sleep(backoff.next_delay()).await;
            }
            result => return result,
        }
    }
}
