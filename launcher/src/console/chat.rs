//! The servers of the chat, as the console asks them for the operator: with the service token, and few questions at a time.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::StatusCode;
use kit::Secret;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use transport::{ApiClient, ApiError};

use super::problem::Problem;
use crate::supervisor::Snapshot;
use crate::token_file::TokenFile;

/// The component that stores messages.
const MESSAGE_API: &str = "message-api";
/// The component that delivers them.
const CHAT_SERVER: &str = "chat-server";
/// Questions at once; others wait for their turn.
const QUESTIONS: usize = 4;
/// Backups at once. Overflow rule: further ones are refused with 409.
const BACKUPS: usize = 1;

/// The servers of the chat.
pub(super) struct Chat {
    data: PathBuf,
    questions: Semaphore,
    backups: Arc<Semaphore>,
    /// The client of late; another address gets another one.
    client: Mutex<Option<(SocketAddr, ApiClient)>>,
}

impl Chat {
    pub(super) fn new(data: PathBuf) -> Self {
        Self {
            data,
            questions: Semaphore::new(QUESTIONS),
            backups: Arc::new(Semaphore::new(BACKUPS)),
            client: Mutex::default(),
        }
    }

    /// Asks the message API something.
    pub(super) async fn ask<A>(
        &self,
        running: &Snapshot,
        question: impl AsyncFnOnce(ApiClient) -> Result<A, ApiError>,
    ) -> Result<A, Problem> {
        let client = self.client(running)?;
        let Ok(_turn) = self.questions.acquire().await else { return Err(ending()) };
        question(client).await.map_err(|error| failed(&error))
    }

    /// The trace of a message.
    pub(super) async fn trace(
        &self,
        running: &Snapshot,
        message: &str,
    ) -> Result<protocol::native::Trace, Problem> {
        let (address, token) = (address(running, CHAT_SERVER)?, self.token()?);
        let Ok(_turn) = self.questions.acquire().await else { return Err(ending()) };
        transport::trace(address, message, &token).await.map_err(|error| match error {
            transport::trace::TraceError::Refused(why) => Problem::new(StatusCode::NOT_FOUND, why),
            error => Problem::busy(format!("{CHAT_SERVER} at {address}: {error}")),
        })
    }

    /// A client of the message API.
    pub(super) fn client(&self, running: &Snapshot) -> Result<ApiClient, Problem> {
        let address = address(running, MESSAGE_API)?;
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, client)) = &*client
            && *known == address
        {
            return Ok(client.clone());
        }
        kit::context::install_tls();
        let new = ApiClient::new(address, self.token()?);
        *client = Some((address, new.clone()));
        Ok(new)
    }

    /// The place of a backup; none while another one is taken.
    pub(super) fn backup_place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.backups).try_acquire_owned().ok()
    }

    fn token(&self) -> Result<Secret, Problem> {
        let file = TokenFile::of_services(&self.data);
        file.read().map_err(|error| Problem::internal("cannot read the service token", &error))
    }
}

fn address(running: &Snapshot, component: &str) -> Result<SocketAddr, Problem> {
    let missing = || Problem::new(StatusCode::CONFLICT, format!("{component} is not part of this run"));
    running.address_of(component).ok_or_else(missing)
}

fn ending() -> Problem {
    Problem::busy("the launcher is ending")
}

/// The answer to the operator where the message API has none.
pub(super) fn failed(error: &ApiError) -> Problem {
    match error {
        ApiError::Refused(detail) => Problem::new(StatusCode::CONFLICT, detail),
        ApiError::Unreachable(_) | ApiError::Unavailable(_) | ApiError::Malformed(_) => {
            Problem::busy(format!("cannot {}", kit::failure::chain(error)))
        }
    }
}
