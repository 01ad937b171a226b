//! What the launcher does for itself besides supervising: the limits of its log, its metrics, its console, and watching the configuration files. A
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
use crate::console::{ConsoleServer, Setting};
use crate::metrics::server::MetricsServer;
use crate::recorder::Audience;
use crate::supervisor::logs::launcher_log::Limits;
use crate::supervisor::{Consent, ConsoleSpec, LauncherSpec, Plan};

/// The running services; they stop when dropped.
pub(super) struct OwnServices {
    data: PathBuf,
    /// The files to watch, if watching is enabled.
    files: Vec<PathBuf>,
    planner: Arc<Planner>,
    plans: mpsc::Sender<Plan>,
    limits: Limits,
    metrics: Option<(SocketAddr, MetricsServer)>,
    console: Option<(ConsoleSpec, ConsoleServer)>,
    audience: Audience,
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
        audience: Audience,
    ) -> Result<Self, Failure> {
        let mut own_services = Self {
            data: loaded.directories.data.clone(),
            files: planner.watched(),
            planner: Arc::clone(planner),
            plans,
            limits,
            metrics: None,
            console: None,
            audience,
            watch: None,
            alerts,
        };
        let LauncherSpec { metrics, console, watch, alerts: _ } =
            catalog::launcher(&loaded.settings.launcher);
        own_services.serve(metrics)?;
        own_services.open(console.as_ref())?;
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
        if let Err(failure) = self.open(plan.launcher.console.as_ref()) {
            tracing::error!("cannot serve the console: {failure}");
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

    /// Serves the console where it is wanted.
    fn open(&mut self, wanted: Option<&ConsoleSpec>) -> Result<(), Failure> {
        let (there, wanted_at) =
            (self.console.as_ref().map(|(spec, _)| &spec.listen), wanted.map(|it| &it.listen));
        if there == wanted_at {
            if let (Some((spec, server)), Some(wanted)) = (&mut self.console, wanted) {
                server.set_read_only(wanted.read_only);
                spec.clone_from(wanted);
            }
            return Ok(());
        }
        if let Some((_, old)) = self.console.take() {
            // Its subscribers may take a while to be told, and nobody is to wait for that.
            std::thread::Builder::new().spawn(move || drop(old))?;
        }
        if let Some(spec) = wanted {
            let planner = Arc::clone(&self.planner);
            let setting = Setting {
                data: self.data.clone(),
                load: Arc::new(move || planner.look()),
                audience: self.audience.clone(),
            };
            self.console = Some((spec.clone(), ConsoleServer::start(spec, setting)?));
        }
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
