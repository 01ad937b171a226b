//! Help and personalities.

use serde_json::json;
use transport::testing::name;

use crate::harness::{ME, Stage};
use crate::script::Script;

#[tokio::test]
async fn help_names_the_commands_and_the_current_personality() {
    let stage = Stage::with([]).await;
    for command in ["help", " INFO "] {
        let text = stage.ask(command).await;
        assert!(text.contains("personality happy|angry|spanish") && text.contains("rotate"), "{text}");
        assert!(text.ends_with("Current personality: happy"), "{text}");
    }
    assert!(stage.ask("personality grumpy").await.contains("Available personalities: happy, angry, spanish"));
    assert!(stage.endpoint.seen().is_empty());
}

#[tokio::test]
async fn a_personality_is_each_users_own_and_outlives_a_restart() {
    let mut stage = Stage::with([Script::says(&["grr"]), Script::says(&["¡hola!"])]).await;
    assert_eq!(stage.ask("Personality ANGRY").await, "Personality set to angry.");
    assert_eq!(stage.servers.state(ME, "alice"), Some(json!("angry")));
    stage.ask("why?").await;
    let answered = json!({"personality": "angry", "answered": true});
    stage.servers.until(|world| (world.state(&name(ME)).get("alice") == Some(&answered)).then_some(())).await;
    stage.stop_bot().await;
    stage.start_bot();
    assert!(stage.ask("help").await.ends_with("Current personality: angry"));
    assert_eq!(stage.ask("rotate").await, "Personality set to spanish.");
    stage.ask("why?").await;
    let bob = stage.say("bob", "help");
    assert!(stage.answer_to(&bob).await.body.as_str().ends_with("Current personality: happy"));
    assert_eq!(stage.ask("rotate").await, "Personality set to happy.");
    assert_eq!(stage.servers.state(ME, "alice"), None, "the first personality needs no note");
    let prompts: Vec<_> = stage.endpoint.seen().iter().map(|seen| seen.messages()[0].clone()).collect();
    assert!(prompts[0].0 == "system" && prompts[0].1.contains("grumpy"));
    assert!(prompts[1].1.contains("Spanish"));
}
