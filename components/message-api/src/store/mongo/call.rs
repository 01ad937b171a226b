//! Bounds every wait for the server.
//!
//! A driver's future must not be dropped half-way (RUST-937: its connection would be lost), so each call is a task of its own; after the
//! time limit we stop waiting and the task ends by itself.

use std::future::Future;
use std::time::Duration;

use mongodb::error::{Error, ErrorKind};

use crate::store::StoreError;

/// Shorter than the timeout of our own clients, longer than most elections of a replica set.
const CALL_TIMEOUT: Duration = Duration::from_secs(8);

/// A call failed. The effect of a failed write is unknown.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error("{}", describe(.0))]
    Driver(#[source] Box<Error>),
    #[error("MongoDB did not answer within {} seconds", CALL_TIMEOUT.as_secs())]
    Timeout,
}

impl CallError {
    /// Whether everything that was not inserted already existed.
    pub(super) fn says_only_duplicates(&self) -> bool {
        let Self::Driver(error) = self else { return false };
        let ErrorKind::InsertMany(failure) = &*error.kind else { return false };
        let errors = failure.write_errors.as_deref().unwrap_or_default();
        failure.write_concern_error.is_none()
            && !errors.is_empty()
            && errors.iter().all(|error| error.code == DUPLICATE_KEY)
    }

    pub(super) fn is_duplicate_key(&self) -> bool {
        use mongodb::error::WriteFailure;
        let Self::Driver(error) = self else { return false };
        match &*error.kind {
            ErrorKind::Write(WriteFailure::WriteError(error)) => error.code == DUPLICATE_KEY,
            ErrorKind::Command(error) => error.code == DUPLICATE_KEY,
            _ => false,
        }
    }
}

/// The server's code for a violated unique index.
pub(super) const DUPLICATE_KEY: i32 = 11000;

impl From<Error> for CallError {
    fn from(error: Error) -> Self {
        Self::Driver(Box::new(error))
    }
}

impl From<CallError> for StoreError {
    fn from(error: CallError) -> Self {
        Self::because("MongoDB cannot do this now", error)
    }
}

/// The driver's error without the bytes of the server's reply, which may contain messages.
fn describe(error: &Error) -> String {
    match &*error.kind {
        ErrorKind::ServerSelection { message, .. } => message.clone(),
        ErrorKind::Command(error) => format!("error {} {}", error.code, error.code_name),
        ErrorKind::InsertMany(_) | ErrorKind::Write(_) => "a write was not acknowledged".to_owned(),
        ErrorKind::Io(error) => error.to_string(),
        ErrorKind::Authentication { message, .. } => message.clone(),
        kind => kind.to_string().chars().take(300).collect(),
    }
}

/// Runs one call.
pub(super) async fn call<T: Send + 'static>(
    doing: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, CallError> {
    match tokio::time::timeout(CALL_TIMEOUT, tokio::spawn(doing)).await {
        Ok(Ok(result)) => result.map_err(CallError::from),
        // The task was cancelled, which only the end of the runtime causes.
        Ok(Err(_)) | Err(_) => Err(CallError::Timeout),
    }
}
