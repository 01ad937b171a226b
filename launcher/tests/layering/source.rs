//! The paths in a Rust file, without tests. Not a parser of the language: tokens are sufficient to find paths.

use std::collections::BTreeSet;

/// A path in a file, as its segments from the left.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) path: Vec<String>,
    /// Its name from here on, if it is re-exported.
    pub(crate) exported: Option<String>,
}

/// The tokens of a file, without comments, texts and tests.
pub(crate) struct Source {
    tokens: Vec<String>,
    /// Modules that are declared for tests only.
    pub(crate) tests: BTreeSet<String>,
}

impl Source {
    pub(crate) fn read(text: &str) -> Self {
        let mut tests = BTreeSet::new();
        let tokens = without_tests(tokens(text), &mut tests);
        Self { tokens, tests }
    }

    /// Every path that begins at the crate, at this module, above it, or in one of `children`.
    pub(crate) fn paths(&self, children: &BTreeSet<String>) -> Vec<Named> {
        let mut found = Vec::new();
        let mut braces = Vec::new();
        for at in 0..self.tokens.len() {
            let before = |n: usize| at.checked_sub(n).map_or("", |at| self.token(at));
            match self.token(at) {
                "{" => braces.push(before(2) == "mod"),
                "}" => _ = braces.pop(),
                _ => {}
            }
            let is_start =
                matches!(self.token(at), "crate" | "super" | "self") || children.contains(self.token(at));
            if !is_start || self.token(at + 1) != "::" || matches!(before(1), "::" | "." | "$") {
                continue;
            }
            // `pub(in crate::a)` restricts visibility, and uses nothing.
            if before(1) == "in" && before(2) == "(" && before(3) == "pub" {
                continue;
            }
            let is_exported = before(1) == "use" && matches!(before(2), "pub" | ")");
            let first = found.len();
            self.tree(at, &mut Vec::new(), is_exported, &mut found);
            // Within `mod a { … }` `super` is this file.
            let inner = braces.iter().filter(|is_module| **is_module).count();
            for named in &mut found[first..] {
                let above = named.path.iter().take(inner).take_while(|word| *word == "super").count();
                if above > 0 {
                    let is_here = named.path.get(above).is_none_or(|word| word != "super");
                    named.path.splice(..above, is_here.then(|| "self".to_owned()));
                }
            }
        }
        found
    }

    /// Whether it contains a word.
    pub(crate) fn says(&self, word: &str) -> bool {
        self.tokens.iter().any(|token| token == word)
    }

    fn token(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", String::as_str)
    }

    /// Parses `a::b::{c, d as e}`; returns the index after it.
    fn tree(&self, mut at: usize, path: &mut Vec<String>, exported: bool, found: &mut Vec<Named>) -> usize {
        let depth = path.len();
        while is_word(self.token(at)) || self.token(at) == "*" {
            path.push(self.token(at).to_owned());
            at += 1;
            if self.token(at) != "::" {
                break;
            }
            at += 1;
        }
        if self.token(at) == "{" && self.token(at - 1) == "::" {
            at += 1;
            while !matches!(self.token(at), "}" | "") {
                at = self.tree(at, path, exported, found);
                at += usize::from(self.token(at) == ",");
            }
            at += 1;
        } else {
            let is_renamed = self.token(at) == "as";
            let name = if is_renamed { self.token(at + 1) } else { path.last().map_or("", String::as_str) };
            let exported = exported.then(|| name.to_owned());
            at += if is_renamed { 2 } else { 0 };
            // Skips tokens that are not part of a path, so that parsing a list ends.
            at += usize::from(path.len() == depth);
            found.push(Named { path: path.clone(), exported });
        }
        path.truncate(depth);
        at
    }
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Words, `::`, and other signs one by one.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = comment(rest).or_else(|| literal(rest));
        if let Some(length) = skipped {
            rest = &rest[length..];
            continue;
        }
        let length = if first.is_alphanumeric() || first == '_' {
            rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        if !first.is_whitespace() {
            tokens.push(rest[..length].to_owned());
        }
        rest = &rest[length..];
    }
    tokens
}

/// The length of the comment that begins here.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    text.starts_with("/*").then(|| text.find("*/").map_or(text.len(), |end| end + 2))
}

/// The length of the text or character that begins here; not that of a lifetime.
fn literal(text: &str) -> Option<usize> {
    let raw = text.strip_prefix("br").or_else(|| text.strip_prefix('r')).unwrap_or("");
    let hashes = raw.len() - raw.trim_start_matches('#').len();
    if raw[hashes..].starts_with('"') {
        let (start, end) = (text.len() - raw.len() + hashes + 1, format!("\"{}", "#".repeat(hashes)));
        return Some(text[start..].find(&end).map_or(text.len(), |at| start + at + end.len()));
    }
    let quote = text.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return Some(at + 1),
            // `'a` and no quote behind it.
            _ if quote == '\'' && at > 1 && !text.starts_with("'\\") => return None,
            _ => {}
        }
    }
    None
}

/// Removes every item with `#[cfg(test)]` or `#[cfg(all(test, …))]`, and collects the modules among them.
fn without_tests(tokens: Vec<String>, tests: &mut BTreeSet<String>) -> Vec<String> {
    let (mut kept, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        let attribute: String = tokens[at..tokens.len().min(at + 7)].concat();
        if !attribute.starts_with("#[cfg(test)]") && !attribute.starts_with("#[cfg(all(test") {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        let item = end_of_item(&tokens, end_of_item(&tokens, at + 1));
        let declared = tokens[at..item].windows(3).find(|three| three[0] == "mod" && three[2] == ";");
        tests.extend(declared.map(|three| three[1].clone()));
        at = item;
    }
    kept
}

/// The index after an item, a variant, an arm, or an attribute's brackets.
fn end_of_item(tokens: &[String], mut at: usize) -> usize {
    // Further attributes belong to it.
    while at > 1 && tokens.get(at).is_some_and(|token| token == "#") {
        at = end_of_item(tokens, at + 1);
    }
    let is_attribute = tokens.get(at).is_some_and(|token| token == "[");
    let keywords =
        ["pub", "fn", "async", "impl", "use", "mod", "struct", "enum", "const", "static", "trait", "type"];
    let is_item = tokens.get(at).is_some_and(|token| keywords.contains(&token.as_str()));
    let mut depth = 0_usize;
    while let Some(token) = tokens.get(at) {
        match token.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" if depth == 0 => return at,
            ")" | "]" | "}" => {
                depth -= 1;
                if depth == 0 && (token == "}" || is_attribute) {
                    return at + 1;
                }
            }
            ";" if depth == 0 => return at + 1,
            "," if depth == 0 && !is_item => return at + 1,
            _ => {}
        }
        at += 1;
    }
    at
}

#[test]
fn paths_are_found_outside_of_tests_comments_and_texts() {
    let source = Source::read(
        r###"
        use crate::a::{self, b::C, d::*}; // crate::comment
        pub(crate) use kid::Exported as Renamed;
        mod kid;
        #[cfg(test)]
        mod tests;
        #[cfg(test)]
        use crate::tested::{X, Y};
        fn f<'a>(x: &'a str, c: char) -> super::Up { kid::go("crate::text", '"', r#"crate::raw"#); $crate::no() }
        mod inner { pub(in crate::visible) struct S; fn g() { if a { super::here(); super::super::Above::new() } } }
        "###,
    );
    assert_eq!(source.tests, BTreeSet::from(["tests".to_owned()]));
    let paths = source.paths(&BTreeSet::from(["kid".to_owned()]));
    let found: Vec<String> = paths.iter().map(|named| named.path.join("::")).collect();
    let expected = [
        "crate::a::self",
        "crate::a::b::C",
        "crate::a::d::*",
        "kid::Exported",
        "super::Up",
        "kid::go",
        "self::here",
        "super::Above::new",
    ];
    assert_eq!(found, expected);
    assert_eq!(paths[3].exported.as_deref(), Some("Renamed"));
}
