//! Programs of the operator's, which know nothing of lifelines.

use std::time::{Duration, Instant};

use crate::support::{Home, wait_for};

/// Minds neither TERM nor its standard input, and so do its child and the one that left its session.
const STUBBORN: &str = "trap \"\" TERM; (while :; do sleep 1; done) & setsid sh -c \"while :; do sleep 1; done\" & while :; do sleep 1; done";

#[test]
fn an_external_component_ends_with_its_launcher_though_it_minds_nothing() {
    let home = Home::new()
        .set("components.stubborn.command=['sh', '-c']")
        .set(&format!("components.stubborn.args=['{STUBBORN}']"))
        .set("components.stubborn.needs=[]")
        .set("components.stubborn.stop-grace=300ms")
        .set("components.polite.command=['sleep', '600']");
    let mut launcher = home.argument("--no-web").argument("--no-thermometer").up();
    let polite = launcher.component_pid("polite").unwrap();
    let comm = std::fs::read_to_string(format!("/proc/{polite}/comm")).unwrap();
    assert_eq!(comm, "sleep\n", "the shim has become the program");
    let run = launcher.status().unwrap()["run_id"].as_str().unwrap().to_owned();
    // Two components of ours, sleep, and three shells each with its sleep.
    wait_for("all to run", || (marked(&run) >= 9).then_some(()));
    launcher.end("-KILL");
    let killed = Instant::now();
    wait_for("the polite one to end", || {
        (!std::path::Path::new(&format!("/proc/{polite}/exe")).exists()).then_some(())
    });
    assert!(
        killed.elapsed() < Duration::from_secs(1),
        "the parent-death signal ends it: {:?}",
        killed.elapsed()
    );
    wait_for("nothing to be left", || (marked(&run) == 0).then_some(()));
    assert!(killed.elapsed() < Duration::from_secs(3), "{:?}", killed.elapsed());
    launcher.up_again();
}

#[test]
fn a_program_that_cannot_be_run_is_named() {
    let home =
        Home::new().set("components.echo.command=/nonexistent/program").set("components.echo.restart=never");
    let home = home.set("components.echo.needs=[]").argument("--no-web").argument("--no-thermometer");
    let launcher = home.start();
    let error = wait_for("its error", || {
        let error = launcher.component("echo")?["last_error"].as_str()?.to_owned();
        error.contains("cannot run").then_some(error)
    });
    assert!(error.contains("/nonexistent/program") && error.contains("No such file"), "{error}");
    assert_eq!(launcher.component("echo").unwrap()["state"], "failed");
}

/// How many processes carry the mark of a run; a zombie carries nothing.
fn marked(run: &str) -> usize {
    let mark = format!("P2P_RUN={run}/");
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let environs = entries.filter_map(|entry| std::fs::read(entry.path().join("environ")).ok());
    environs
        .filter(|environ| environ.split(|byte| *byte == 0).any(|one| one.starts_with(mark.as_bytes())))
        .count()
}
