//! What every request shares.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::StatusCode;
use kit::Secret;
use kit::http::Hosts;
use kit::places::Places;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::chat::Chat;
use super::login::Logins;
use super::looker::Looker;
use super::problem::Problem;
use super::sampler::Sampler;
use super::setting::Setting;
use crate::token_file::TokenFile;

/// Readers of files at once; others wait for their turn. Each may hold some megabytes.
const READERS: usize = 2;

/// What every request shares.
pub(super) struct App {
    pub(super) setting: Setting,
    pub(super) read_only: Arc<AtomicBool>,
    /// `None` behind a Unix socket: whoever can open that is the operator.
    pub(super) token: Option<TokenFile>,
    pub(super) hosts: Hosts,
    pub(super) logins: Mutex<Logins>,
    pub(super) looker: Arc<Looker>,
    pub(super) chat: Chat,
    pub(super) sampler: Arc<Sampler>,
    /// Subscribers of the stream.
    pub(super) places: Places,
    readers: Arc<Semaphore>,
    pub(super) shutdown: CancellationToken,
}

impl App {
    pub(super) fn new(
        setting: Setting,
        read_only: Arc<AtomicBool>,
        token: Option<TokenFile>,
        places: Places,
        shutdown: CancellationToken,
    ) -> Self {
        let looker = Arc::new(Looker::new(setting.data.clone()));
        let sampler = Sampler::new(Arc::clone(&looker), setting.audience.clone());
        let chat = Chat::new(setting.data.clone());
        Self {
            chat,
            setting,
            read_only,
            token,
            hosts: Hosts::of_this_machine(),
            logins: Mutex::default(),
            looker,
            sampler,
            places,
            readers: Arc::new(Semaphore::new(READERS)),
            shutdown,
        }
    }

    /// Whether it only shows.
    pub(super) fn is_read_only(&self) -> bool {
        self.read_only.load(Ordering::Relaxed)
    }

    /// The token as it is now: whoever replaces the file locks everybody out who has the earlier one.
    pub(super) fn token(&self) -> Result<Option<Secret>, Problem> {
        let Some(file) = &self.token else { return Ok(None) };
        file.shared().map(Some).map_err(|error| {
            Problem::internal(&format!("cannot use the token {}", file.path().display()), &error)
        })
    }

    /// Counts an attempt with a wrong token or link.
    pub(super) fn failed_attempt(&self, client: IpAddr, detail: &str) -> Problem {
        let mut logins = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
        match logins.failed(client) {
            Ok(()) => {
                tracing::warn!(%client, "the console: {detail}");
                Problem::new(StatusCode::UNAUTHORIZED, detail)
            }
            Err(seconds) => {
                Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many wrong tokens from your address")
                    .again(seconds)
            }
        }
    }

    /// The directory of the logs.
    pub(super) async fn logs(&self) -> Result<PathBuf, Problem> {
        Ok(self.looker.look().await?.logs)
    }

    /// Does what reads files, on a thread for that, when it is its turn.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let gone = || Problem::busy("the launcher is ending");
        let turn = Arc::clone(&self.readers).acquire_owned().await.map_err(|_| gone())?;
        let read = move || {
            let _turn = turn;
            read()
        };
        tokio::task::spawn_blocking(read).await.map_err(|_| gone())?
    }
}
