//! Bounds every wait for the server.
//!
//! A driver's future must not be dropped half-way (RUST-937: its connection would be lost), so each call is a task of its own; after the
//! time limit we stop waiting and the task ends by itself.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use mongodb::error::{Error, ErrorKind, WriteFailure};

/// Shorter than the timeout of our own clients, longer than most elections of a replica set.
const CALL_TIMEOUT: Duration = Duration::from_secs(8);

/// After this time a majority is unavailable; the outcome is then looked up.
pub(crate) const MAJORITY_TIMEOUT: Duration = Duration::from_secs(5);

/// The server's code for a violated unique index.
pub const DUPLICATE_KEY: i32 = 11000;
/// The server's code for a wrong user name or password.
const AUTHENTICATION_FAILED: i32 = 18;

/// The future result of a call. It is boxed, so that it is translated in this crate.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, CallError>> + Send + 'a>>;

/// A call failed. The effect of a failed write is unknown.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The driver or the server reports an error.
    #[error("{}", describe(.0))]
    Driver(#[source] Box<Error>),
    /// A document has another form than it should have.
    #[error("a document has an unexpected form")]
    Document(#[source] Box<bson::error::Error>),
    /// No answer in time.
    #[error("MongoDB did not answer within {} seconds", CALL_TIMEOUT.as_secs())]
    Timeout,
}

/// Where an ordered insert stopped at a taken key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstDuplicate {
    /// The index of the document.
    pub index: usize,
    /// The server's text, which names the unique index unless it is truncated.
    pub message: String,
}

impl CallError {
    fn kind(&self) -> Option<&ErrorKind> {
        match self {
            Self::Driver(error) => Some(&error.kind),
            Self::Document(_) | Self::Timeout => None,
        }
    }

    /// Whether everything that was not inserted already existed.
    #[must_use]
    pub fn says_only_duplicates(&self) -> bool {
        let Some(ErrorKind::InsertMany(failure)) = self.kind() else { return false };
        let errors = failure.write_errors.as_deref().unwrap_or_default();
        failure.write_concern_error.is_none()
            && !errors.is_empty()
            && errors.iter().all(|error| error.code == DUPLICATE_KEY)
    }

    /// Whether a unique index was violated.
    #[must_use]
    pub fn is_duplicate_key(&self) -> bool {
        match self.kind() {
            Some(ErrorKind::Write(WriteFailure::WriteError(error))) => error.code == DUPLICATE_KEY,
            Some(ErrorKind::Command(error)) => error.code == DUPLICATE_KEY,
            _ => false,
        }
    }

    /// Where an insert stopped at a taken key. `None` if the error is of another kind, or a majority did not confirm the documents before it.
    #[must_use]
    pub fn first_duplicate(&self) -> Option<FirstDuplicate> {
        let ErrorKind::InsertMany(failure) = self.kind()? else { return None };
        if failure.write_concern_error.is_some() {
            return None;
        }
        let first = failure.write_errors.as_ref()?.first()?;
        let found = || FirstDuplicate { index: first.index, message: first.message.clone() };
        (first.code == DUPLICATE_KEY).then(found)
    }

    /// The server's code for a command that it rejected, or for a failed login; `None` for other errors.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        match self.kind()? {
            ErrorKind::Authentication { .. } => Some(AUTHENTICATION_FAILED),
            ErrorKind::Command(command) => Some(command.code),
            _ => None,
        }
    }
}

impl From<Error> for CallError {
    fn from(error: Error) -> Self {
        Self::Driver(Box::new(error))
    }
}

impl From<bson::error::Error> for CallError {
    fn from(error: bson::error::Error) -> Self {
        Self::Document(Box::new(error))
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

/// Makes one call.
pub(crate) fn call<T: Send + 'static>(
    doing: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Answer<'static, T> {
    Box::pin(async {
        match tokio::time::timeout(CALL_TIMEOUT, tokio::spawn(doing)).await {
            Ok(Ok(result)) => result.map_err(CallError::from),
            // The task was cancelled, which only the end of the runtime causes.
            Ok(Err(_)) | Err(_) => Err(CallError::Timeout),
        }
    })
}

/// Makes one call, however long it takes.
pub(crate) fn call_unbounded<T: Send + 'static>(
    doing: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Answer<'static, T> {
    Box::pin(async {
        match tokio::spawn(doing).await {
            Ok(result) => result.map_err(CallError::from),
            Err(_) => Err(CallError::Timeout),
        }
    })
}
