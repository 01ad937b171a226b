//! The rules for dependencies: licences, sources, duplicate versions, crates with C libraries.
//!
//! `cargo metadata` has all of that. cargo-deny would check the same, but would have to be built first; its other part, the advisories,
//! needs a network, which the tests do without.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Licences that require nothing but attribution.
const LICENCES: [&str; 12] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];
/// Crates that two of our dependencies need in different versions. An entry that is no longer needed must be removed.
const SEVERAL_VERSIONS: [&str; 10] = [
    "base64",
    "block-buffer",
    "cpufeatures",
    "crypto-common",
    "digest",
    "getrandom",
    "rand",
    "rand_core",
    "sha1",
    "syn",
];
/// Crates with a C library of their own.
const BANNED: [&str; 4] = ["aws-lc-sys", "native-tls", "openssl", "openssl-sys"];
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Every package that is built, ours and others', for this system.
fn packages() -> Vec<Value> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let arguments =
        ["metadata", "--locked", "--offline", "--format-version", "1", "--manifest-path", manifest];
    let mut cargo = Command::new(env!("CARGO"));
    let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    cargo.args(arguments).args(["--filter-platform", &host]);
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let built: BTreeSet<String> = nodes.iter().map(|node| text(node, "id").to_owned()).collect();
    let Value::Array(packages) = metadata["packages"].take() else { panic!("no packages") };
    packages.into_iter().filter(|package| built.contains(text(package, "id"))).collect()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// Whether a licence expression (SPDX) can be satisfied with licences from the list. `AND` binds tighter than `OR`; a slash is an old `OR`.
fn is_allowed(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    let mut depth = 0_usize;
    let mut alternatives = vec![vec![String::new()]];
    for word in expression.replace('(', " ( ").replace(')', " ) ").split_whitespace() {
        match word {
            "OR" if depth == 0 => alternatives.push(vec![String::new()]),
            "AND" if depth == 0 => alternatives.last_mut().unwrap().push(String::new()),
            _ => {
                let term = alternatives.last_mut().unwrap().last_mut().unwrap();
                depth = if word == ")" { depth - 1 } else { depth };
                if depth > 0 || !matches!(word, "(" | ")") {
                    term.push_str(if term.is_empty() { "" } else { " " });
                    term.push_str(word);
                }
                depth = if word == "(" { depth + 1 } else { depth };
            }
        }
    }
    let is_term_allowed = |term: &String| {
        let is_expression = term.contains(" OR ") || term.contains(" AND ");
        if is_expression { is_allowed(term) } else { LICENCES.contains(&term.as_str()) }
    };
    alternatives.iter().any(|terms| terms.iter().all(is_term_allowed))
}

#[test]
fn a_licence_expression_is_read() {
    for good in ["MIT", "MIT/Apache-2.0", "GPL-3.0 OR MIT", "(MIT OR GPL-2.0) AND Unicode-3.0", "MIT AND ISC"]
    {
        assert!(is_allowed(good), "{good}");
    }
    for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "(GPL-2.0 OR LGPL-2.0) AND MIT", "Apache-2.0 WITH X"] {
        assert!(!is_allowed(bad), "{bad}");
    }
}

#[test]
fn what_we_are_built_of_is_allowed() {
    let packages = packages();
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for package in &packages {
        let name = text(package, "name");
        versions.entry(name).or_default().insert(text(package, "version"));
        if !is_allowed(text(package, "license")) {
            wrong.push(format!("{name}: its licence is '{}'", text(package, "license")));
        }
        if !matches!(package["source"].as_str(), None | Some(REGISTRY)) {
            wrong.push(format!("{name}: it comes from {}", text(package, "source")));
        }
        if BANNED.contains(&name) {
            wrong.push(format!("{name}: it needs a C library that we do without"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let several: Vec<_> =
        versions.iter().filter(|(_, versions)| versions.len() > 1).map(|(name, _)| *name).collect();
    assert_eq!(several, SEVERAL_VERSIONS, "crates in several versions: {versions:#?}");
}
