//! The locations of the configuration file, `.env`, the data and the logs.

use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::mistake::{Mistake, Mistakes};
use super::source::Source;

/// The configuration's path in a working directory.
const PROJECT_FILE: &str = "config/launcher.toml";
/// Our directory name in the user's directories.
const PROGRAM: &str = "p2p-chat";

/// The location of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ConfigPlace {
    /// The file; without one the embedded defaults are used.
    pub(crate) file: Option<PathBuf>,
    /// The `.env` files that are read if they exist, in order of precedence.
    pub(crate) dotenvs: Vec<PathBuf>,
}

/// The directories that are written to, as absolute paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directories {
    /// For messages, locks and sockets.
    pub data: PathBuf,
    /// For logs.
    pub logs: PathBuf,
}

/// Locates the configuration: the given file, `$P2P_CONFIG`, the working directory's, the user's.
pub(crate) fn config(named: Option<&Path>, environment: &Environment) -> ConfigPlace {
    let named = named.map(Path::to_owned).or_else(|| environment.get("P2P_CONFIG").map(PathBuf::from));
    let project = environment.directory.join(PROJECT_FILE);
    if let Some(file) = named {
        // A bare file name is relative to the working directory.
        let file = environment.directory.join(file);
        return ConfigPlace { dotenvs: beside(&file, &project, environment), file: Some(file) };
    }
    if project.is_file() {
        return ConfigPlace { dotenvs: beside(&project, &project, environment), file: Some(project) };
    }
    let Some(user) = user_directory(environment, "XDG_CONFIG_HOME", ".config") else {
        return ConfigPlace::default();
    };
    let file = user.join("launcher.toml");
    ConfigPlace { dotenvs: vec![user.join(".env")], file: file.is_file().then_some(file) }
}

/// The `.env` beside the file, and the one at the root of a checkout with this `config/launcher.toml`.
fn beside(file: &Path, project: &Path, environment: &Environment) -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = file.parent().map(|parent| parent.join(".env")).into_iter().collect();
    if file == project {
        places.push(environment.directory.join(".env"));
    }
    places
}

/// The directories of data and logs: as given; in the working directory if the configuration is there; otherwise in the user's state
/// directory.
///
/// # Errors
/// If the user has no home directory.
pub(crate) fn directories(
    data: Option<&Path>,
    logs: Option<&Path>,
    environment: &Environment,
) -> Result<Directories, Mistakes> {
    let here = &environment.directory;
    let state = || -> Result<PathBuf, Mistakes> {
        if here.join(PROJECT_FILE).is_file() {
            return Ok(here.clone());
        }
        state_directory(environment).ok_or_else(no_home)
    };
    let resolve = |named: Option<&Path>, name: &str| match named {
        Some(named) => Ok(here.join(named)),
        None => Ok(state()?.join(name)),
    };
    Ok(Directories { data: resolve(data, "data")?, logs: resolve(logs, "logs")? })
}

/// The user's state directory (XDG Base Directory Specification).
pub(crate) fn state_directory(environment: &Environment) -> Option<PathBuf> {
    user_directory(environment, "XDG_STATE_HOME", ".local/state")
}

fn no_home() -> Mistakes {
    let source = Source::Environment { name: "HOME".to_owned() };
    let what =
        "not set, so the data and log directories are unknown; set them with --data and --logs".to_owned();
    Mistakes::check(vec![Mistake { source, what }]).expect_err("there is one mistake")
}

/// Our directory within one of the user's; by the XDG Base Directory Specification a relative path is ignored.
fn user_directory(environment: &Environment, variable: &str, default: &str) -> Option<PathBuf> {
    let given = environment.get(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = given.or_else(|| environment.get("HOME").map(|home| Path::new(home).join(default)))?;
    Some(base.join(PROGRAM))
}
