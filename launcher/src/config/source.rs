//! The source of a setting, described so that the operator can find it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// The source of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The default.
    Default,
    /// A place in the configuration file; both numbers count from 1.
    File {
        /// The file.
        path: Arc<Path>,
        /// The line.
        line: usize,
        /// The column, in characters.
        column: usize,
    },
    /// A variable of a `.env` file.
    Dotenv {
        /// The file.
        path: Arc<Path>,
        /// The variable.
        name: String,
    },
    /// A variable of the environment.
    Environment {
        /// The variable.
        name: String,
    },
    /// `--set` on the command line.
    Flag {
        /// The key, without its value.
        key: String,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Dotenv { path, name } => write!(f, "{}: {name}", path.display()),
            Self::Environment { name } => write!(f, "environment variable {name}"),
            Self::Flag { key } => write!(f, "--set {key}"),
        }
    }
}

/// Line and column of a byte offset, both from 1, the column in characters.
pub(crate) fn position(text: &str, offset: usize) -> (usize, usize) {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        let text = "a = 1\nöß = 2\n";
        assert_eq!(position(text, 0), (1, 1));
        assert_eq!(position(text, text.find('=').unwrap()), (1, 3));
        assert_eq!(position(text, text.rfind('=').unwrap()), (2, 4));
        assert_eq!(position(text, 999), (3, 1));
    }
}
