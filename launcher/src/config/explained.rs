//! What each key means: the comments of the default file.

use super::nearest::nearest;
use super::schema;

/// A key with its comment and its line in the default file.
#[derive(Debug)]
pub(crate) struct Explained {
    /// Its full name, such as `chat-server.listen`.
    pub(crate) name: String,
    comment: Vec<&'static str>,
    line: &'static str,
}

impl Explained {
    /// The comment, and below it the default or, for a key that is unset by default, an example.
    pub(crate) fn text(&self) -> String {
        let (_, value) = self.line.split_once(" = ").unwrap_or((self.line, ""));
        let kind = if self.line.starts_with('#') { "not set by default; for example" } else { "default" };
        let comment: String = self.comment.iter().map(|line| format!("\n    {line}")).collect();
        format!("{}    {kind}: {value}{comment}", self.name)
    }
}

/// All keys of sections with fixed names, in the order of the default file.
pub(crate) fn explained(default_file: &'static str) -> Vec<Explained> {
    let mut section = None;
    let mut keys: Vec<Explained> = Vec::new();
    let mut comment = Vec::new();
    let mut is_after_key = false;
    for line in default_file.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = schema::section(name);
            comment.clear();
        } else if let Some((section, key)) =
            section.and_then(|section| Some((section, key_of(&section, line)?)))
        {
            // Keys that follow each other share a comment.
            keys.push(Explained { name: format!("{}.{key}", section.name), comment: comment.clone(), line });
            is_after_key = true;
        } else if let Some(text) = line.strip_prefix('#') {
            if is_after_key {
                comment.clear();
            }
            comment.push(text.trim_start_matches(' '));
            is_after_key = false;
        } else {
            comment.clear();
        }
    }
    keys
}

/// The key that a line sets, also if it is commented out.
fn key_of(section: &schema::Section, line: &str) -> Option<String> {
    let name = line.trim_start_matches("# ").split_once(" = ")?.0;
    section.keys().into_iter().find(|key| key == name)
}

/// The key that was probably meant.
pub(crate) fn nearest_key(wanted: &str, keys: &[Explained]) -> Option<String> {
    nearest(wanted, keys.iter().map(|key| key.name.as_str())).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DEFAULT_FILE;

    #[test]
    fn every_key_is_explained() {
        let keys = explained(DEFAULT_FILE);
        for section in schema::SECTIONS {
            for key in section.keys().iter().filter(|key| *key != schema::COMMAND) {
                let name = format!("{}.{key}", section.name);
                let found = keys.iter().find(|key| key.name == name);
                let comment = found.map(|key| key.comment.join(" ")).unwrap_or_default();
                assert!(comment.contains(' '), "{name}: {comment:?}");
            }
        }
    }

    #[test]
    fn a_comment_belongs_to_the_keys_below_it() {
        let keys = explained(DEFAULT_FILE);
        let text = |name: &str| keys.iter().find(|key| key.name == name).unwrap().text();
        assert_eq!(
            text("chat-server.max-connections"),
            "chat-server.max-connections    default: 10000\n    The maximum number of connections."
        );
        for name in ["chat-server.tls-listen", "chat-server.tls-book-listen"] {
            let text = text(name);
            assert!(text.contains("not set by default") && text.contains("The same with TLS"), "{text}");
        }
        assert_eq!(nearest_key("chat-server.lisen", &keys).as_deref(), Some("chat-server.listen"));
    }
}
