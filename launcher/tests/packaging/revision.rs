//! The commit in `--version`.

#[path = "../../build/revision.rs"]
mod of_the_build;

use std::path::Path;
use std::process::Command;

fn git(directory: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.arg("-C").arg(directory).args(["-c", "user.name=a", "-c", "user.email=a@b"]).args(arguments);
    command.env("GIT_COMMITTER_DATE", "2026-11-21T12:00:00+00:00");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn the_version_names_the_commit_and_its_day() {
    let repository = tempfile::tempdir().unwrap();
    git(repository.path(), &["init", "-q"]);
    assert_eq!(of_the_build::of(repository.path()), None, "nothing is committed");
    git(repository.path(), &["commit", "-q", "--allow-empty", "-m", "one"]);
    let first = of_the_build::of(repository.path()).unwrap();
    let id = git(repository.path(), &["rev-parse", "--short=10", "HEAD"]);
    assert_eq!(first.text, format!("{id} 2026-11-21"));
    let watched = std::fs::read(first.changes.as_ref().unwrap()).unwrap();
    git(repository.path(), &["commit", "-q", "--allow-empty", "-m", "two"]);
    assert_ne!(std::fs::read(first.changes.unwrap()).unwrap(), watched, "cargo must notice the new commit");
}

#[test]
fn sources_without_git_have_no_commit() {
    let repository = tempfile::tempdir().unwrap();
    assert_eq!(of_the_build::of(repository.path()), None);
    git(repository.path(), &["init", "-q"]);
    git(repository.path(), &["commit", "-q", "--allow-empty", "-m", "one"]);
    let unpacked = repository.path().join("p2p-chat-0.2.0");
    std::fs::create_dir(&unpacked).unwrap();
    assert_eq!(of_the_build::of(&unpacked), None, "the commit is of another project");
}
