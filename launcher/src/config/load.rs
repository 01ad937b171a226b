//! Locates, reads and validates the configuration.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kit::Secret;

use super::env_file::{self, EnvFiles};
use super::environment::{self, Environment};
use super::layers::{Layers, Origins};
use super::mistake::{Mistake, Mistakes};
use super::place::{self, Directories};
use super::settings::Settings;
use super::source::Source;
use super::{file, flag, rules};

/// The options of the command line for the configuration.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The configuration file.
    pub config: Option<PathBuf>,
    /// The data directory.
    pub data: Option<PathBuf>,
    /// The log directory.
    pub logs: Option<PathBuf>,
    /// `SECTION.KEY=VALUE`; later ones override earlier ones.
    pub sets: Vec<String>,
    /// The flags that disable components, such as `--no-web`.
    pub without: Vec<&'static str>,
}

/// A valid configuration.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The values of all settings.
    pub settings: Settings,
    /// The sources of the settings.
    pub origins: Origins,
    /// The file that was read; `None` for the embedded defaults.
    pub file: Option<PathBuf>,
    /// The paths of `.env` files, whether they exist or not.
    pub dotenvs: Vec<PathBuf>,
    /// The content of the components' `env-file`.
    pub env_files: EnvFiles,
    /// The bot's key.
    pub api_key: Option<Secret>,
    /// The directories of data and logs.
    pub directories: Directories,
    /// The flags that disable components, such as `--no-web`.
    pub without: Vec<&'static str>,
}

impl Loaded {
    /// Every file of the configuration, whether it exists or not.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.file.iter().chain(&self.dotenvs).chain(&self.env_files.paths)
    }

    /// The files that may contain secrets.
    #[must_use]
    pub fn secret_files(&self) -> Vec<PathBuf> {
        let key = self.settings.tls.files(&self.directories.data).map(|files| files.key);
        self.dotenvs.iter().chain(&self.env_files.paths).cloned().chain(key).collect()
    }

    /// The configured environment of a component: that of its files, overridden by its `env`.
    #[must_use]
    pub fn environment_of(&self, component: &str) -> BTreeMap<String, String> {
        let mut variables = self.env_files.variables.get(component).cloned().unwrap_or_default();
        if let Some(config) = self.settings.components.get(component) {
            variables.extend(config.env.clone());
        }
        variables
    }
}

/// Locates, reads and validates the configuration.
///
/// # Errors
/// All mistakes in it.
pub fn load(request: &Request, environment: &Environment) -> Result<Loaded, Mistakes> {
    let place = place::config(request.config.as_deref(), environment);
    let mut layers = Layers::default();
    let dotenvs: Vec<Dotenv> = place.dotenvs.iter().map(|path| Dotenv::read(path)).collect();
    if let Some(path) = &place.file {
        let of_dotenv = |name: &str| dotenvs.iter().find_map(|dotenv| dotenv.variables.get(name));
        let get = |name: &str| environment.variables.get(name).or_else(|| of_dotenv(name)).cloned();
        lay_file(&mut layers, path, environment, &get);
    }
    let mut api_key = None;
    for dotenv in dotenvs.into_iter().rev() {
        api_key = environment::api_key(&dotenv.variables).or(api_key);
        dotenv.lay(&mut layers);
    }
    let named = |name: &str| Source::Environment { name: name.to_owned() };
    layers.lay(environment::assignments(&environment.variables, named));
    for text in &request.sets {
        match flag::read(text) {
            Ok(assignment) => layers.lay([assignment]),
            Err(mistake) => layers.complain([mistake]),
        }
    }
    let (settings, origins, mut mistakes) = layers.finish();
    mistakes.extend(rules::check(&settings, &origins));
    let base = place.file.as_deref().and_then(Path::parent).unwrap_or(&environment.directory);
    let (env_files, wrong) = env_file::read(&settings, &origins, base);
    mistakes.extend(wrong);
    let api_key = environment::api_key(&environment.variables).or(api_key);
    mistakes.extend(api_key.as_ref().and_then(environment::short_key));
    Mistakes::check(mistakes)?;
    Ok(Loaded {
        settings,
        origins,
        file: place.file,
        dotenvs: place.dotenvs,
        env_files,
        api_key,
        directories: place::directories(request.data.as_deref(), request.logs.as_deref(), environment)?,
        without: request.without.clone(),
    })
}

/// The directories of data and logs, for commands that need nothing else and work with an invalid configuration.
///
/// # Errors
/// If the user has no home directory.
pub fn directories(request: &Request, environment: &Environment) -> Result<Directories, Mistakes> {
    place::directories(request.data.as_deref(), request.logs.as_deref(), environment)
}

fn lay_file(
    layers: &mut Layers,
    path: &Path,
    environment: &Environment,
    get: &dyn Fn(&str) -> Option<String>,
) {
    // Operators expect paths as they wrote them, not absolute.
    let shown = path.strip_prefix(&environment.directory).unwrap_or(path);
    match read_text(path) {
        Ok(text) => {
            let (assignments, mistakes) = file::read(shown, &text, get);
            layers.complain(mistakes);
            layers.lay(assignments);
        }
        Err(what) => {
            let source = Source::File { path: shown.into(), line: 1, column: 1 };
            layers.complain([Mistake { source, what }]);
        }
    }
}

fn read_text(path: &Path) -> Result<String, String> {
    let bytes = std::fs::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => format!("cannot be read: {error}"),
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let line =
            error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
        format!("is not UTF-8 text (line {line})")
    })
}

/// A `.env` file.
struct Dotenv<'p> {
    path: &'p Path,
    variables: BTreeMap<String, String>,
    mistakes: Vec<Mistake>,
}

impl<'p> Dotenv<'p> {
    fn read(path: &'p Path) -> Self {
        let (variables, mistakes) = environment::dotenv(path);
        Self { path, variables, mistakes }
    }

    fn lay(self, layers: &mut Layers) {
        layers.complain(self.mistakes);
        layers.lay(environment::assignments(&self.variables, environment::dotenv_source(self.path)));
    }
}
