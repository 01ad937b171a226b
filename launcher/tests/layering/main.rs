//! The allowed dependencies between crates, checked with the manifests: `launcher → {components} → transport → protocol`, `kit` beside
//! `protocol`, and `supervisor` beside the components.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod circles;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The layers, lowest first. A crate may only use our crates of lower layers.
const LAYERS: [(&str, &[&str]); 4] = [
    ("foundation", &["protocol", "kit"]),
    ("libraries", &["transport", "mongo-client", "supervisor"]),
    ("components", &[]),
    ("launcher", &["launcher"]),
];
const COMPONENTS: usize = 2;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The dependencies of a crate.
struct Manifest {
    /// To be built and run.
    ships: BTreeSet<String>,
    /// To be tested.
    tests: BTreeSet<String>,
}

/// Every crate of the workspace.
fn manifests() -> BTreeMap<String, Manifest> {
    let components =
        std::fs::read_dir(root().join("components")).unwrap().flatten().map(|entry| entry.path());
    let crates = components
        .chain(["launcher", "launcher/supervisor"].map(|path| root().join(path)))
        .filter(|path| path.join("Cargo.toml").is_file());
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(path.join("Cargo.toml")).unwrap();
        let manifest: toml::Table = text.parse().unwrap();
        let name = manifest["package"]["name"].as_str().unwrap().to_owned();
        let mut ships = dependencies(&manifest, "dependencies");
        ships.extend(dependencies(&manifest, "build-dependencies"));
        (name, Manifest { ships, tests: dependencies(&manifest, "dev-dependencies") })
    };
    crates.map(read).collect()
}

/// Those of one kind, for every target.
fn dependencies(manifest: &toml::Table, kind: &str) -> BTreeSet<String> {
    let targets = manifest
        .get("target")
        .and_then(toml::Value::as_table)
        .into_iter()
        .flat_map(|targets| targets.values());
    let tables = std::iter::once(manifest).chain(targets.filter_map(toml::Value::as_table));
    let of_kind = tables.filter_map(|table| table.get(kind)?.as_table());
    of_kind.flat_map(|table| table.keys().cloned()).collect()
}

fn layer(name: &str) -> usize {
    LAYERS.iter().position(|(_, names)| names.contains(&name)).unwrap_or(COMPONENTS)
}

#[test]
fn every_crate_uses_lower_layers_only() {
    let crates = manifests();
    assert!(crates.len() >= 10, "{:?}", crates.keys());
    for (name, manifest) in &crates {
        for used in manifest.ships.iter().filter(|used| crates.contains_key(*used)) {
            assert!(layer(used) < layer(name), "{name} must not use {used}");
        }
        // Components do not know that they are supervised.
        assert!(
            name == "launcher" || !manifest.ships.contains("supervisor"),
            "{name} must not use supervisor"
        );
        // A component's tests may use its real neighbour.
        for used in manifest.tests.iter().filter(|used| crates.contains_key(*used)) {
            assert!(layer(used) <= layer(name), "the tests of {name} must not use {used}");
        }
    }
}

#[test]
fn the_benchmark_speaks_to_the_others_through_sockets_only() {
    let text = std::fs::read_to_string(root().join("bench/Cargo.toml")).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    let uses = ["dependencies", "dev-dependencies", "build-dependencies"];
    let uses = uses.iter().flat_map(|kind| dependencies(&manifest, kind));
    let crates = manifests();
    let ours: BTreeSet<String> = uses.filter(|name| crates.contains_key(name)).collect();
    assert_eq!(ours, BTreeSet::from(["protocol".to_owned()]));
    assert_eq!(manifest["package"]["publish"].as_bool(), Some(false));
    // It is not shipped either.
    for (name, manifest) in &crates {
        assert!(!manifest.ships.contains("bench") && !manifest.tests.contains("bench"), "{name}");
    }
}

#[test]
fn the_supervisor_knows_no_component() {
    let names: Vec<String> = manifests().into_keys().filter(|name| layer(name) == COMPONENTS).collect();
    let mut open = vec![root().join("launcher/supervisor/src")];
    let mut seen = 0;
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(path).unwrap().flatten().map(|entry| entry.path()));
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        // Tests need names, and may use real ones.
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        if path.file_name().unwrap() == "tests.rs" {
            continue;
        }
        seen += 1;
        for name in &names {
            let module = format!("{}::", name.replace('-', "_"));
            assert!(!text.contains(&format!("\"{name}\"")), "{} names {name}", path.display());
            assert!(!text.contains(&module), "{} uses {name}", path.display());
        }
        assert!(!text.contains("crate::catalog") && !text.contains("crate::config"), "{}", path.display());
    }
    assert!(seen > 5);
}
