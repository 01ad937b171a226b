//! What the launcher does for itself besides supervising: the limits of its log, its metrics, and watching the configuration files. A
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

/// The running services; they stop when dropped.
pub(super) struct OwnServices {
    data: PathBuf,
    /// The files to watch, if watching is enabled.
    files: Vec<PathBuf>,
    planner: Arc<Planner>,
    plans: mpsc::Sender<Plan>,
    limits: Limits,
    metrics: Option<(SocketAddr, MetricsServer)>,
    watch: Option<Watch>,
    alerts: AlertSettings,
}

impl OwnServices {
    /// Starts what is configured; plans of a changed configuration are sent to `plans`.
    pub(super) fn start(
        loaded: &Loaded,
        planner: &Arc<Planner>,
        plans: mpsc::Sender<Plan>,
        limits: Limits,
        alerts: AlertSettings,
    ) -> Result<Self, Failure> {
        let mut own_services = Self {
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
        own_services.serve(metrics)?;
        own_services.set_watch(watch);
        Ok(own_services)
    }

    /// Applies a new plan.
    pub(super) fn apply(&mut self, plan: &Plan) {
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
        self.set_watch(plan.launcher.watch);
        self.alerts.set(&plan.launcher.alerts);
    }

    fn serve(&mut self, address: Option<SocketAddr>) -> Result<(), Failure> {
        if self.metrics.as_ref().map(|(address, _)| *address) == address {
            return Ok(());
        }
        if let Some((_, old)) = self.metrics.take() {
            // Pending requests may take a while, which nobody must wait for.
            std::thread::Builder::new().spawn(move || drop(old))?;
        }
        self.metrics = match address {
            Some(address) => Some((address, MetricsServer::start(address, self.data.clone())?)),
            None => None,
        };
        Ok(())
    }

    /// Without a watch, changes are applied by `launcher reload`.
    fn set_watch(&mut self, wanted: bool) {
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
                // The supervisor receives plans as long as it runs.
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
