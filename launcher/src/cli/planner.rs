//! Makes plans of the configuration as it is: at the start, when asked to reload, and when the files change.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use kit::{Exit, Failure, Secret};
use uuid::Uuid;

use super::files;
use super::umask::UMASK;
use crate::catalog::{self, Process};
use crate::config::{self, Environment, Loaded, Request};
use crate::preflight::{mongodb, ports};
use crate::supervisor::{ComponentSpec, Consent, EndsAll, External, Launch, Plan, Probe, RestartWhen};

/// The configuration as a thing to watch; its name in `status`.
const CONFIG: &str = "config";

/// Makes the plans of one run of the launcher.
#[derive(Debug)]
pub(super) struct Planner {
    request: Request,
    environment: Environment,
    process: Process,
    /// The component whose end is the end of all.
    ends_all: Option<String>,
    state: Mutex<State>,
    /// What is wrong with the files as they are, while the settings of before stay in force.
    problem: Arc<Mutex<Option<String>>>,
}

#[derive(Debug, Default)]
struct State {
    /// Addresses that a plan of ours listens on; that they are taken is no wonder.
    ours: Vec<SocketAddr>,
    /// The watched MongoDB with its URL: one client for the whole run.
    mongodb: Option<(String, External)>,
    /// The files of the configuration in force.
    in_force: Files,
    /// Those of the configuration read last.
    read: Files,
}

/// The files of a configuration.
#[derive(Debug, Clone, Default)]
struct Files {
    /// All of them, whether they are there or not.
    named: Vec<PathBuf>,
    /// Those that say anything.
    full: Vec<PathBuf>,
    /// Those that a key of the configuration names.
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

    /// The end of this component is the end of all.
    pub(super) fn exit_code_from(self, component: Option<&str>) -> Self {
        Self { ends_all: component.map(str::to_owned), ..self }
    }

    /// The plan of a configuration whose ports were tried already.
    ///
    /// # Errors
    /// When the component whose end is to be the end of all does not run.
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

    /// What was read last is in force.
    pub(super) fn is_in_force(&self) {
        let mut state = lock(&self.state);
        state.in_force = state.read.clone();
        *lock(&self.problem) = None;
    }

    /// The files whose change is a change of the configuration in force.
    pub(super) fn watched(&self) -> Vec<PathBuf> {
        lock(&self.state).in_force.named.clone()
    }

    /// A plan was not put in force, for this reason.
    pub(super) fn refused(&self, reason: &str) {
        *lock(&self.problem) = Some(reason.to_owned());
    }

    /// Reads the configuration again. What is wrong with it is remembered for `status`, and nothing changes.
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
        self.remember_addresses(&loaded);
        Ok(loaded)
    }

    /// A file that says nothing any more was most likely caught while it is written; taken at its word, it moves a running chat to
    /// the default store and ports. An `env-file` that is no longer named is another matter.
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
            // Whoever waits for its exit code does not want to see it come back.
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

    /// The configuration on disk, so that a mistake in it shows in `status`.
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

/// What is behind these locks is whole even if a thread that held one has panicked.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// This process, as its plans need it.
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
