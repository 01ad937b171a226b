//! A machine without certificate authorities, such as a small container.

use crate::support::Home;
use crate::support::line_client::LineClient;

#[test]
fn everything_starts_where_the_system_trusts_no_certificate_authority() {
    let empty = tempfile::tempdir().unwrap();
    let home = Home::new()
        .variable("SSL_CERT_FILE", "/dev/null")
        .variable("SSL_CERT_DIR", empty.path().to_str().unwrap())
        .variable("OPENAI_API_KEY", "sk-a-secret-of-this-test")
        .set("openai-bot.base-url=https://127.0.0.1:1/v1");
    let launcher = home.up();
    let (mut alice, greeting) = LineClient::login(launcher.home.chat, "alice");
    assert!(greeting.contains("openai") && greeting.contains("thermometer1"), "{greeting}");
    alice.send("openai: are you there?\n");
    alice.until("[openai][");
    assert!(launcher.home.run(&["probe"]).status.success());
}
