//! Gives `--version` the commit that a release is built of.
//!
//! Only of a release: a debug build would be made anew after each commit.

#[path = "build/revision.rs"]
mod revision;

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=build/revision.rs");
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().filter(|_| is_release);
    let Some(revision) = root.and_then(revision::of) else {
        println!("cargo:rustc-env=P2P_CHAT_REVISION=");
        return;
    };
    println!("cargo:rustc-env=P2P_CHAT_REVISION= ({})", revision.text);
    if let Some(path) = revision.changes {
        println!("cargo:rerun-if-changed={}", path.display());
    }
}
