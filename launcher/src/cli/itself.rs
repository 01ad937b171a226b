//! What the launcher does for itself beside supervising: its log's limits, its numbers, and a look at the configuration files. A
//! reload changes all of it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use kit::Failure;
use tokio::sync::mpsc;

use super::planner::Planner;
use crate::alerts::AlertSettings;
use crate::catalog;
use crate::config::Loaded;
use crate::config::watch::{Watch, watch};
use crate::metrics::server::MetricsServer;
use crate::supervisor::logs::launcher_log::Limits;
use crate::supervisor::{Consent, LauncherSpec, Plan};

/// All of it; dropped, it ends.
pub(super) struct Itself {
    data: PathBuf,
    /// What is watched when anything is.
    files: Vec<PathBuf>,
    planner: Arc<Planner>,
    plans: mpsc::Sender<Plan>,
    limits: Limits,
    metrics: Option<(SocketAddr, MetricsServer)>,
    watch: Option<Watch>,
    alerts: AlertSettings,
}

impl Itself {
    /// Begins with what the configuration says; plans of a changed one go to `plans`.
    pub(super) fn start(
        loaded: &Loaded,
        planner: &Arc<Planner>,
        plans: mpsc::Sender<Plan>,
        limits: Limits,
        alerts: AlertSettings,
    ) -> Result<Self, Failure> {
        let mut itself = Self {
            data: loaded.directories.data.clone(),
            files: planner.watched(),
            planner: Arc::clone(planner),
            plans,
            limits,
            metrics: None,
            watch: None,
            alerts,
        };
        let LauncherSpec { metrics, watch, alerts: _ } = catalog::launcher(&loaded.settings.launcher);
        itself.serve(metrics)?;
        itself.look(watch);
        Ok(itself)
    }

    /// Does from now on what a new plan says.
    pub(super) fn put_in_force(&mut self, plan: &Plan) {
        self.planner.is_in_force();
        self.limits.set(plan.log_policy);
        if let Err(failure) = self.serve(plan.launcher.metrics) {
            tracing::error!("cannot serve the launcher's metrics: {failure}");
        }
        let files = self.planner.watched();
        if files != self.files {
            self.files = files;
            self.watch = None;
        }
        self.look(plan.launcher.watch);
        self.alerts.set(&plan.launcher.alerts);
    }

    fn serve(&mut self, address: Option<SocketAddr>) -> Result<(), Failure> {
        if self.metrics.as_ref().map(|(address, _)| *address) == address {
            return Ok(());
        }
        if let Some((_, old)) = self.metrics.take() {
            // Its last questions may take a while to be answered, and nobody is to wait for that.
            std::thread::Builder::new().spawn(move || drop(old))?;
        }
        self.metrics = match address {
            Some(address) => Some((address, MetricsServer::start(address, self.data.clone())?)),
            None => None,
        };
        Ok(())
    }

    /// Without a watch there is still `launcher reload`.
    fn look(&mut self, wanted: bool) {
        if wanted == self.watch.is_some() {
            return;
        }
        self.watch = None;
        if !wanted {
            return;
        }
        let (planner, plans) = (Arc::clone(&self.planner), self.plans.clone());
        let changed = move || match planner.again(Consent::Missing) {
            Ok(plan) => {
                tracing::info!("configuration changed");
                // The supervisor takes plans as long as it runs.
                let _ = plans.blocking_send(plan);
            }
            Err(problem) => {
                tracing::error!("the changed configuration is invalid and was not applied: {problem}")
            }
        };
        let watch = watch(self.files.clone(), changed);
        self.watch = watch
            .inspect_err(|error| tracing::warn!(%error, "cannot watch the configuration file; apply changes with 'launcher reload'"))
            .ok();
    }
}
