//! Waits for a text in a stream, such as the line by which a program reports readiness.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memchr::memmem;
use tokio::sync::oneshot;

/// The maximum length of the text in bytes.
const MAX: usize = 1024;

/// A text that is awaited once.
#[derive(Debug)]
pub(crate) struct Awaited {
    text: Vec<u8>,
    /// The end of the previous input, one byte shorter than the text.
    before: Vec<u8>,
    found: Arc<Mutex<Option<oneshot::Sender<()>>>>,
}

impl Awaited {
    /// Waits for a text; the receiver is notified when it arrives. Of a text over 1 KiB only the beginning is compared.
    pub(crate) fn new(text: &str) -> (Self, oneshot::Receiver<()>) {
        let (found, hears) = oneshot::channel();
        let text = text.as_bytes()[..text.len().min(MAX)].to_vec();
        (Self { text, before: Vec::new(), found: Arc::new(Mutex::new(Some(found))) }, hears)
    }

    /// The same text in another stream of the same process; one match is enough.
    pub(super) fn twin(&self) -> Self {
        Self { text: self.text.clone(), before: Vec::new(), found: Arc::clone(&self.found) }
    }

    fn found(&self) -> MutexGuard<'_, Option<oneshot::Sender<()>>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds input.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if self.found().is_none() {
            return;
        }
        let kept = self.text.len().saturating_sub(1);
        self.before.extend_from_slice(&bytes[..bytes.len().min(kept)]);
        let has = |bytes: &[u8]| memmem::find(bytes, &self.text).is_some();
        if has(&self.before) || has(bytes) {
            // The receiver may have been dropped.
            let _ = self.found().take().map(|found| found.send(()));
            self.before = Vec::new();
            return;
        }
        if bytes.len() >= kept {
            self.before.clear();
            self.before.extend_from_slice(&bytes[bytes.len() - kept..]);
        } else {
            self.before.drain(..self.before.len().saturating_sub(kept));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_however_it_comes() {
        let stream = "it is not yet serv, nor servin\nbut now: serving on port 5000\n";
        for size in 1..stream.len() {
            let (mut awaited, mut found) = Awaited::new("serving on");
            let end = stream.find("serving on").unwrap() + "serving on".len();
            for (index, chunk) in stream.as_bytes().chunks(size).enumerate() {
                awaited.feed(chunk);
                let is_there = (index + 1) * size >= end;
                assert_eq!(awaited.found().is_none(), is_there, "in pieces of {size}");
            }
            found.try_recv().unwrap();
        }
    }
}
