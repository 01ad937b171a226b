//! `env-file` of a component: files with variables for its environment, written as `.env`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::environment::dotenv;
use super::layers::Origins;
use super::mistake::Mistake;
use super::secrecy::{TOO_SHORT, is_secret};
use super::settings::Settings;

/// What the files of all components say.
#[derive(Debug, Clone, Default)]
pub struct EnvFiles {
    /// Each component's variables, by its name.
    pub variables: BTreeMap<String, BTreeMap<String, String>>,
    /// The files, as absolute paths where the configuration's is one.
    pub paths: Vec<PathBuf>,
}

/// Reads them; a relative one is beside the configuration file, in `base`.
pub(super) fn read(settings: &Settings, origins: &Origins, base: &Path) -> (EnvFiles, Vec<Mistake>) {
    let mut files = EnvFiles::default();
    let mut mistakes = Vec::new();
    for (name, component) in &settings.components {
        let key = format!("components.{name}.env-file");
        for file in &component.env_file {
            let path = base.join(file);
            match read_one(&path, &key) {
                Ok(variables) => files.variables.entry(name.clone()).or_default().extend(variables),
                Err(found) => {
                    mistakes.extend(found.into_iter().map(|what| Mistake { source: origins.of(&key), what }))
                }
            }
            if !files.paths.contains(&path) {
                files.paths.push(path);
            }
        }
    }
    (files, mistakes)
}

/// Values are not shown: they may be secrets.
fn read_one(path: &Path, key: &str) -> Result<BTreeMap<String, String>, Vec<String>> {
    let shown = path.display();
    let wrong = |what: &str| format!("{key}: {shown} {what}");
    if let Err(error) = std::fs::metadata(path) {
        return Err(vec![match error.kind() {
            std::io::ErrorKind::NotFound => wrong("does not exist; create it, or take it out of the list"),
            _ => wrong(&format!("cannot be read: {error}")),
        }]);
    }
    let (variables, mistakes) = dotenv(path);
    let mut found: Vec<String> =
        mistakes.iter().map(|mistake| format!("{key}: {}: {}", mistake.source, mistake.what)).collect();
    let short = variables
        .iter()
        .filter(|(name, value)| is_secret(name) && (1..kit::secret::SHORTEST).contains(&value.len()));
    found.extend(
        short.map(|(name, _)| wrong(&format!("has a secret that cannot be masked: {name} {TOO_SHORT}"))),
    );
    if found.is_empty() { Ok(variables) } else { Err(found) }
}
