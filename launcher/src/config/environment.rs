//! Settings from the environment and from `.env` files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kit::Secret;

use super::assignment::Assignment;
use super::mistake::Mistake;
use super::secrecy::TOO_SHORT;
use super::source::Source;

/// Selects MongoDB: the same as `store.url`, under a common name.
const MONGO_URL: &str = "MONGO_URL";
/// The language model's key.
pub const OPENAI_API_KEY: &str = "OPENAI_API_KEY";

/// The environment of a process, read once.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// Its variables.
    pub variables: BTreeMap<String, String>,
    /// Its working directory.
    pub directory: PathBuf,
}

impl Environment {
    /// The environment of this process. Variables that are not UTF-8 are ignored.
    ///
    /// # Errors
    /// If the working directory does not exist.
    pub fn of_this_process() -> std::io::Result<Self> {
        let texts = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Ok(Self { variables: texts.collect(), directory: std::env::current_dir()? })
    }

    /// A variable, if it is set and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// The settings among variables. Within a layer the specific name wins: `P2P_STORE__URL` overrides `MONGO_URL`.
pub(crate) fn assignments(
    variables: &BTreeMap<String, String>,
    source: impl Fn(&str) -> Source,
) -> Vec<Assignment> {
    let mongo = variables.get(MONGO_URL).filter(|url| !url.is_empty());
    let mut found: Vec<Assignment> =
        mongo.map(|url| Assignment::text(&["store", "url"], url, source(MONGO_URL))).into_iter().collect();
    for (name, value) in variables {
        if let Some(path) = path_of(name) {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            found.push(Assignment::text(&path, value, source(name)));
        }
    }
    found
}

/// `P2P_CHAT_SERVER__LISTEN` is `chat-server.listen`. Names without `__`, such as `P2P_CONFIG`, are no settings.
fn path_of(name: &str) -> Option<Vec<String>> {
    let (section, key) = name.strip_prefix("P2P_")?.split_once("__")?;
    let parts = std::iter::once(section).chain(key.split("__"));
    Some(parts.map(|part| part.to_ascii_lowercase().replace('_', "-")).collect())
}

/// Whether a variable has a setting or a secret of ours.
pub(crate) fn is_settings_variable(name: &str) -> bool {
    name == MONGO_URL || name == OPENAI_API_KEY || path_of(name).is_some()
}

/// The bot's key, if set.
pub(crate) fn api_key(variables: &BTreeMap<String, String>) -> Option<Secret> {
    let key = variables.get(OPENAI_API_KEY).map(|key| key.trim()).filter(|key| !key.is_empty());
    key.map(|key| Secret::new(key.to_owned()))
}

/// The mistake of a key that is too short to be masked in logs.
pub(crate) fn short_key(key: &Secret) -> Option<Mistake> {
    let what = format!("{TOO_SHORT}; for an endpoint that asks for none, write OPENAI_API_KEY=none");
    let source = Source::Environment { name: OPENAI_API_KEY.to_owned() };
    (key.expose().len() < kit::secret::SHORTEST).then_some(Mistake { source, what })
}

/// Reads a `.env` file; a missing one is empty.
pub(crate) fn dotenv(path: &Path) -> (BTreeMap<String, String>, Vec<Mistake>) {
    let mut variables = BTreeMap::new();
    let mut mistakes = Vec::new();
    let mut wrong = |name: &str, what: String| {
        let source = Source::Dotenv { path: path.into(), name: name.to_owned() };
        mistakes.push(Mistake { source, what });
    };
    let lines = match dotenvy::from_path_iter(path) {
        Ok(lines) => lines,
        Err(error) if error.not_found() => return (variables, mistakes),
        Err(_) => {
            wrong("file", "cannot be read; check its owner and permissions".to_owned());
            return (variables, mistakes);
        }
    };
    for (number, line) in lines.enumerate() {
        match line {
            Ok((name, value)) => {
                variables.insert(name, value);
            }
            // The line may contain a secret and is not shown.
            Err(dotenvy::Error::LineParse(line, _)) => {
                let place = line_number(path, &line).unwrap_or(number + 1);
                wrong(
                    &format!("line {place}"),
                    "not of the form NAME=value; quote values with spaces, # or $".to_owned(),
                );
            }
            Err(_) => {
                wrong("file", "cannot be read to its end".to_owned());
                break;
            }
        }
    }
    (variables, mistakes)
}

fn line_number(path: &Path, line: &str) -> Option<usize> {
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().position(|candidate| candidate.trim() == line.trim()).map(|index| index + 1)
}

/// Makes the source of a variable in a `.env` file.
pub(crate) fn dotenv_source(path: &Path) -> impl Fn(&str) -> Source + use<> {
    let path: Arc<Path> = path.into();
    move |name| Source::Dotenv { path: Arc::clone(&path), name: name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_name_keys_and_the_rest_is_left_alone() {
        assert_eq!(path_of("P2P_CHAT_SERVER__LISTEN").unwrap(), ["chat-server", "listen"]);
        assert_eq!(path_of("P2P_OPENAI_BOT__BASE_URL").unwrap(), ["openai-bot", "base-url"]);
        assert_eq!(path_of("P2P_CONFIG"), None);
        assert_eq!(path_of("PATH"), None);
    }
}
