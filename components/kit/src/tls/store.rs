//! The pair in use, and the files it comes from.
//!
//! The files are compared every two seconds rather than watched: programs that renew certificates replace symbolic links anywhere on the
//! way (certbot's `live/NAME`, Kubernetes' `..data`), some file systems report no changes, and opening two small files costs less than
//! following all that. A change counts once both files were the same twice in a row, so that no half of a new pair is used.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::signal::unix::{SignalKind, signal};

use super::pair::{self, Files, Pair, PairError, show};
use super::validity::Age;

/// How often the files are compared.
const INTERVAL: Duration = Duration::from_secs(2);

/// The pair in use.
#[derive(Debug)]
pub(super) struct Store {
    files: Files,
    current: Mutex<Arc<CertifiedKey>>,
    /// The content from which it was loaded.
    loaded: Mutex<Content>,
}

/// The content of both files; `None` if one cannot be read.
type Content = Option<(Vec<u8>, Vec<u8>)>;

impl Store {
    /// Loads the files.
    pub(super) fn open(files: Files) -> Result<Self, PairError> {
        let (certificate, key) = (pair::read(&files.certificate)?, pair::read(&files.key)?);
        let pair = pair::parse(&files, &certificate, &key)?;
        tell(&files, &pair);
        let loaded = Mutex::new(Some((certificate, key)));
        Ok(Self { files, current: Mutex::new(pair.key), loaded })
    }

    fn content(&self) -> Content {
        Some((pair::read(&self.files.certificate).ok()?, pair::read(&self.files.key).ok()?))
    }

    /// Follows the files for ever.
    pub(super) async fn follow(&self, report: impl Fn(Option<String>) + Send) {
        let mut hang_ups = signal(SignalKind::hangup()).ok();
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut last = self.content();
        loop {
            let hung_up = async {
                match &mut hang_ups {
                    Some(hang_ups) => hang_ups.recv().await,
                    None => std::future::pending().await,
                }
            };
            let asked = tokio::select! {
                _ = hung_up => true,
                _ = ticks.tick() => false,
            };
            let now = self.content();
            let is_new = now != *self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
            if is_new && (asked || now == last) {
                report(self.reload(now.clone()).err().map(|error| problem(&error)));
            }
            last = now;
        }
    }

    /// Uses the files' present content, which is not tried again if it cannot be used.
    fn reload(&self, content: Content) -> Result<(), PairError> {
        let pair = match &content {
            Some((certificate, key)) => pair::parse(&self.files, certificate, key),
            None => pair::load(&self.files),
        };
        *self.loaded.lock().unwrap_or_else(PoisonError::into_inner) = content;
        let pair = pair?;
        tell(&self.files, &pair);
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = pair.key;
        Ok(())
    }
}

fn problem(error: &PairError) -> String {
    let problem = format!("{}; the certificate before it stays in use", crate::failure::chain(error));
    tracing::error!("{problem}");
    problem
}

fn tell(files: &Files, pair: &Pair) {
    let (file, fingerprint) = (files.certificate.display(), show(&pair.fingerprint));
    tracing::info!(%file, %fingerprint, "using this TLS certificate");
    match pair.validity.map(|validity| validity.age(SystemTime::now())) {
        Some(Age::Expired(_)) => {
            tracing::error!(%file, "this TLS certificate has expired: clients refuse it")
        }
        Some(Age::Early) => {
            tracing::error!(%file, "this TLS certificate is not valid yet by this machine's clock");
        }
        Some(Age::Fine | Age::Late(_)) | None => {}
    }
}

impl ResolvesServerCert for Store {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}
