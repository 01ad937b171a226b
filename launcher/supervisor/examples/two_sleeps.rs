//! Runs two programs, the second once the first is ready, restarts one, shows both, and stops them in order:
//! `cargo run -p supervisor --example two_sleeps`. Nothing of the supervisor's is about chat.

use std::time::Duration;

use kit::Failure;
use supervisor::control::{Request, Response};
use supervisor::status::{ComponentStatus, State};
use supervisor::{ComponentSpec, Launch, Plan, Supervisor, SupervisorHandle};

#[expect(clippy::print_stdout, reason = "an example shows what it does")]
fn main() -> Result<(), Failure> {
    let data = std::env::temp_dir().join(format!("two-sleeps-{}", std::process::id()));
    let sleep = || Launch::command("sleep", &["600"]);
    let first = ComponentSpec::new("first", sleep());
    let second = ComponentSpec { needs: vec!["first".to_owned()], ..ComponentSpec::new("second", sleep()) };
    let supervisor = Supervisor::new(Plan::new(&data, vec![first, second]));
    let handle = supervisor.handle();
    // One thread, the main one: a child's parent-death signal depends on the thread that started it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = tokio::task::LocalSet::new()
        .block_on(&runtime, async { tokio::join!(supervisor.run(), operate(&handle)).0 });
    println!("stopped: {:?}", outcome?);
    std::fs::remove_dir_all(&data)?;
    Ok(())
}

/// What an operator does, in this process or in another one.
#[expect(clippy::print_stdout, reason = "an example shows what it does")]
async fn operate(supervisor: &SupervisorHandle) {
    let before = both_ready(supervisor, None).await;
    let second = Request::Restart { component: "second".to_owned() };
    if let Err(error) = supervisor.ask(&second).await {
        println!("cannot restart it: {error}");
    }
    for component in both_ready(supervisor, before[1].pid).await {
        println!("{}: {:?}, process {:?}", component.name, component.state, component.pid);
    }
    if let Err(error) = supervisor.ask(&Request::Down).await {
        println!("cannot stop: {error}");
    }
}

/// Waits until both are ready, and the second one is another process than `earlier`.
async fn both_ready(supervisor: &SupervisorHandle, earlier: Option<u32>) -> Vec<ComponentStatus> {
    loop {
        if let Ok(Response::Status { snapshot }) = supervisor.ask(&Request::Status).await
            && snapshot.components.iter().all(|component| component.state == State::Ready)
            && snapshot.components[1].pid != earlier
        {
            return snapshot.components;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
