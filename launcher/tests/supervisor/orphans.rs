//! The next launcher ends everything that a killed one has left.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use kit::Exit;
use launcher::supervisor::control::{Request, Response, request};
use launcher::supervisor::{RUN, Snapshot};

use crate::bench::{block_on, claim, wait_for};
use crate::children::launcher;
use crate::processes::files;

/// A launcher in a process of its own; ended with the test.
struct Launcher(Child);

impl Drop for Launcher {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The processes with the mark of a run.
fn marked(snapshot: &Snapshot) -> Vec<u32> {
    let mark = format!("{RUN}={}/", snapshot.run_id);
    let carries = |(_, environ): &(u32, Vec<u8>)| {
        environ.split(|byte| *byte == 0).any(|variable| variable.starts_with(mark.as_bytes()))
    };
    files("environ").filter(carries).map(|(pid, _)| pid).collect()
}

async fn healthy(data: &std::path::Path) -> Snapshot {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Ok(Response::Status { snapshot }) = request(data, &Request::Status).await
            && snapshot.is_healthy()
        {
            return snapshot;
        }
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn the_next_start_ends_what_a_killed_launcher_left_and_just_works() {
    block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let start =
            || Launcher(launcher(dir.path()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let mut first = start();
        let snapshot = healthy(dir.path()).await;
        // The two children, `cat`, and the escaped process, with its `sleep`.
        wait_for(|| marked(&snapshot).len() >= 5).await;

        let failure = claim(dir.path()).await.unwrap_err();
        assert_eq!(failure.exit(), Exit::AlreadyRunning);
        assert!(failure.to_string().contains(&format!("(process {})", first.0.id())), "{failure}");

        first.0.kill().unwrap();
        first.0.wait().unwrap();
        let second = start();
        let next = healthy(dir.path()).await;
        assert_ne!(next.run_id, snapshot.run_id);
        assert_eq!(marked(&snapshot), [0; 0]);

        // And the second one's, so that the test leaves nothing.
        drop(second);
        claim(dir.path()).await.unwrap();
        assert_eq!(marked(&next), [0; 0]);
    });
}
