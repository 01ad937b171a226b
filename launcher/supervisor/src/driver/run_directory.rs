//! Restores the run directory, with its locks and sockets, if others delete parts of it.

use super::Driver;
use super::incarnation::Incarnation;
use crate::control::Server;
use crate::run_dir::{private_dir, run_dir};

impl Driver {
    /// Creates again what is missing. Running components continue.
    pub(super) fn restore_run_directory(&mut self) {
        let (server, sockets) = (self.server.is_in_place(), self.sockets.is_in_place());
        if server && sockets && self.claim.is_in_place() {
            return;
        }
        tracing::warn!(data = %self.plan.data.display(), "somebody deleted the run directory or a part of it; making it again");
        let run_dir = run_dir(&self.plan.data);
        if let Err(error) = private_dir(&run_dir) {
            tracing::error!(%error, "cannot make the run directory again");
            return;
        }
        if !self.claim.is_in_place()
            && let Err(error) = self.claim.renew()
        {
            tracing::error!("cannot take the lock of the data directory again: {error}");
        }
        if !server {
            match Server::bind(&run_dir, self.questions.clone()) {
                Ok(new) => std::mem::replace(&mut self.server, new).leave(),
                Err(error) => tracing::error!(%error, "cannot make the control socket again"),
            }
        }
        if !sockets {
            if let Err(error) = self.sockets.renew() {
                tracing::error!(%error, "cannot make the notification sockets again");
            }
            self.incarnations.values().for_each(Incarnation::renew);
        }
    }
}
