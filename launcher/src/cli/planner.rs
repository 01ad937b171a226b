//! Makes plans from the current configuration: at the start, on request, and when files change.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use kit::{Exit, Failure, Secret};
use uuid::Uuid;

use super::files;
use super::umask::UMASK;
use crate::catalog::{self, Process};
use crate::config::{self, Environment, Loaded, Request};
use crate::preflight::{certificate, mongodb, ports};
use crate::supervisor::{ComponentSpec, Consent, EndsAll, External, Launch, Plan, Probe, RestartWhen};

/// The name of the configuration among the dependencies in `status`.
const CONFIG: &str = "config";

/// Makes the plans of one run of the launcher.
#[derive(Debug)]
pub(super) struct Planner {
    request: Request,
    environment: Environment,
    process: Process,
    /// The component whose end stops everything.
    ends_all: Option<String>,
    state: Mutex<State>,
    /// The mistakes in the current files, while the previous settings remain in effect.
    problem: Arc<Mutex<Option<String>>>,
}

#[derive(Debug, Default)]
struct State {
    /// Addresses that a plan of ours listens on, and that are therefore expected to be in use.
    ours: Vec<SocketAddr>,
    /// The watched MongoDB with its URL: one client for the whole run.
    mongodb: Option<(String, External)>,
    /// The files of the configuration in effect.
    in_force: Files,
    /// The files of the configuration read last.
    read: Files,
}

/// The files of a configuration.
#[derive(Debug, Clone, Default)]
struct Files {
    /// All files, whether they exist or not.
    named: Vec<PathBuf>,
    /// Those that are not empty.
    full: Vec<PathBuf>,
    /// Those named by a key of the configuration.
    by_key: Vec<PathBuf>,
}

impl Planner {
    /// For a run that began with this configuration.
    pub(super) fn new(request: Request, environment: Environment, process: Process) -> Self {
        Self {
            request,
            environment,
            process,
            ends_all: None,
            state: Mutex::default(),
            problem: Arc::default(),
        }
    }

    /// Sets the component whose end stops everything.
    pub(super) fn exit_code_from(self, component: Option<&str>) -> Self {
        Self { ends_all: component.map(str::to_owned), ..self }
    }

    /// The plan of a configuration whose ports were checked already.
    ///
    /// # Errors
    /// If the component whose end would stop everything is not started.
    pub(super) fn first(&self, loaded: &Loaded) -> Result<Plan, Failure> {
        self.remember_addresses(loaded);
        let files = Files::of(loaded);
        lock(&self.state).in_force = files;
        let plan = self.plan(loaded);
        let runs = |spec: &&ComponentSpec| matches!(spec.launch, Launch::Command { .. });
        let running = plan.components.iter().filter(runs).map(|spec| spec.name.as_str());
        match &self.ends_all {
            Some(name) if !running.clone().any(|running| running == name) => {
                let running: Vec<&str> = running.collect();
                let what = format!(
                    "--exit-code-from: no component '{name}' is started; available: {}",
                    running.join(", ")
                );
                Err(Failure::new(Exit::Usage, what))
            }
            Some(_) | None => Ok(plan),
        }
    }

    /// The configuration as it is now, for whoever only looks at it.
    pub(super) fn look(&self) -> Result<Loaded, String> {
        config::load(&self.request, &self.environment).map_err(|mistakes| mistakes.to_string())
    }

    /// The configuration read last has been applied.
    pub(super) fn is_in_force(&self) {
        let mut state = lock(&self.state);
        state.in_force = state.read.clone();
        *lock(&self.problem) = None;
    }

    /// The files to watch for changes of the configuration in effect.
    pub(super) fn watched(&self) -> Vec<PathBuf> {
        lock(&self.state).in_force.named.clone()
    }

    /// A plan was rejected for this reason.
    pub(super) fn refused(&self, reason: &str) {
        *lock(&self.problem) = Some(reason.to_owned());
    }

    /// Reads the configuration again. If it is invalid, the mistakes are kept for `status`, and nothing changes.
    pub(super) fn again(&self, consent: Consent) -> Result<Plan, String> {
        let loaded = self.load_again(consent).inspect_err(|problem| self.refused(problem))?;
        Ok(self.plan(&loaded))
    }

    fn load_again(&self, consent: Consent) -> Result<Loaded, String> {
        let loaded =
            config::load(&self.request, &self.environment).map_err(|mistakes| mistakes.to_string())?;
        let read = Files::of(&loaded);
        if consent == Consent::Missing {
            self.find_emptied(&read)?;
        }
        lock(&self.state).read = read;
        let ours = lock(&self.state).ours.clone();
        let mut new = catalog::used_listeners(&loaded);
        new.retain(|(_, address)| !ours.contains(address));
        let taken: Vec<String> = ports::check(&new).iter().map(ToString::to_string).collect();
        if !taken.is_empty() {
            return Err(taken.join("\n"));
        }
        if let Some(problem) = certificate::check(&loaded) {
            return Err(problem);
        }
        self.remember_addresses(&loaded);
        Ok(loaded)
    }

    /// A file that has become empty was probably read while it is being written; applied, it would move a running chat to the default store
    /// and ports. An `env-file` that is no longer named is no such case.
    fn find_emptied(&self, read: &Files) -> Result<(), String> {
        let in_force = &lock(&self.state).in_force;
        let is_dropped = |file: &PathBuf| in_force.by_key.contains(file) && !read.named.contains(file);
        match in_force.full.iter().find(|file| !read.full.contains(file) && !is_dropped(file)) {
            None => Ok(()),
            Some(file) => Err(format!(
                "{} is empty or missing; if that is intended, apply it with 'launcher reload --yes'",
                file.display()
            )),
        }
    }

    fn remember_addresses(&self, loaded: &Loaded) {
        let mut state = lock(&self.state);
        for (_, address) in catalog::used_listeners(loaded) {
            if !state.ours.contains(&address) {
                state.ours.push(address);
            }
        }
    }

    fn plan(&self, loaded: &Loaded) -> Plan {
        let dependencies = self.mongodb(&loaded.settings.store.url).into_iter().chain([self.config()]);
        let mut plan = catalog::plan(loaded, &self.process, dependencies.collect());
        if let Some(spec) = plan.components.iter_mut().find(|spec| Some(&spec.name) == self.ends_all.as_ref())
        {
            // A component whose exit code is awaited must not be restarted.
            spec.restart.when = RestartWhen::Never;
            spec.ends_all = EndsAll::Ended;
        }
        plan
    }

    fn mongodb(&self, url: &str) -> Option<External> {
        let mut state = lock(&self.state);
        let known = state.mongodb.take().filter(|(known, _)| known == url);
        state.mongodb = match known {
            Some(known) => Some(known),
            None => mongodb::is_mongodb(url).then(|| (url.to_owned(), mongodb::dependency(url))),
        };
        state.mongodb.as_ref().map(|(_, external)| external.clone())
    }

    /// The configuration on disk as a dependency, so that its mistakes are shown in `status`.
    fn config(&self) -> External {
        let problem = Arc::clone(&self.problem);
        let check = move || {
            let answer = match &*lock(&problem) {
                None => Ok(()),
                Some(problem) => Err(format!("stays as it was: {}", problem.replace('\n', " "))),
            };
            Box::pin(std::future::ready(answer)) as Probe
        };
        External { name: CONFIG.to_owned(), check: Arc::new(check) }
    }
}

impl Files {
    fn of(loaded: &Loaded) -> Self {
        let says =
            |file: &&PathBuf| std::fs::read(file).is_ok_and(|content| !content.trim_ascii().is_empty());
        Self {
            named: loaded.files().cloned().collect(),
            full: loaded.files().filter(says).cloned().collect(),
            by_key: loaded.env_files.paths.clone(),
        }
    }
}

/// The data remains consistent even if a thread panicked while holding the lock.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// This process, as plans need it.
pub(super) fn process(token: Secret) -> Result<Process, Failure> {
    let names = std::env::vars_os().map(|(name, _)| name);
    Ok(Process {
        run_id: Uuid::now_v7(),
        executable: std::env::current_exe()?,
        token,
        umask: UMASK.get().copied(),
        open_files: files::INHERITED.get().copied(),
        settings_variables: names
            .filter(|name| name.to_str().is_some_and(config::is_settings_variable))
            .collect(),
    })
}
