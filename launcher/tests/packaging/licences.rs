//! The list of third-party licences is complete.

use std::process::Command;

use super::root;

#[test]
fn the_text_of_every_licence_is_in_the_list() {
    let output = Command::new(root().join("packaging/third-party.py")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let list = String::from_utf8(output.stdout).unwrap();
    let (crates, texts) = list.split_once("\n====").unwrap();
    let crates: Vec<&str> =
        crates.lines().skip(2).filter_map(|line| Some(line.split_once(": ")?.0)).collect();
    for known in ["ring", "rusqlite", "tokio", "clap_derive"] {
        assert!(crates.iter().any(|name| name.starts_with(&format!("{known} "))), "{known}: {crates:?}");
    }
    for absent in ["proptest", "bench", "launcher"] {
        assert!(
            !crates.iter().any(|name| name.starts_with(&format!("{absent} "))),
            "{absent} is not in the program"
        );
    }
    let headings: Vec<&str> = texts.lines().filter(|line| line.contains(' ')).collect();
    for name in &crates {
        let is_quoted = headings.iter().any(|line| line.split(", ").any(|quoted| quoted == *name));
        assert!(is_quoted, "no licence text of {name}");
    }
}

#[test]
fn our_own_licences_are_the_manifests() {
    let manifest: toml::Table = std::fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    assert_eq!(manifest["workspace"]["package"]["license"].as_str(), Some("MIT OR Apache-2.0"));
    let text = |file| std::fs::read_to_string(root().join(file)).unwrap();
    assert!(text("LICENSE-MIT").contains("Permission is hereby granted, free of charge"));
    assert!(
        text("LICENSE-APACHE")
            .contains("Apache License\n                           Version 2.0, January 2004")
    );
}
