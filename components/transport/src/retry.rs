//! Asks the message API until there is an answer, for requests that may be repeated.

use std::time::Duration;

use kit::backoff::Backoff;
use kit::failure::chain;

use crate::api::ApiError;

/// The message API is restarted within a second; longer waits only delay the answer.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Asks again while the message API cannot be reached or cannot answer now. Only for what does no harm when it is done twice.
///
/// # Errors
/// When the message API refuses, or answers something else than it should: asking again would not help.
pub async fn retry<A, F>(mut ask: impl FnMut() -> F) -> Result<A, ApiError>
where
    F: Future<Output = Result<A, ApiError>>,
{
    let mut backoff = Backoff::new(LONGEST_WAIT / 10, LONGEST_WAIT);
    loop {
        match ask().await {
            Err(error) if error.is_passing() => {
                tracing::warn!(error = chain(&error), "the message API does not answer; retrying");
                tokio::time::sleep(backoff.next_delay()).await;
            }
            result => return result,
        }
    }
}
