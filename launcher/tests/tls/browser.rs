//! The page in a real Chromium over `https` and `wss`, with a certificate that no authority has signed.

use crate::support::line_client::LineClient;
use crate::webdriver::{Driver, ENTER};
use crate::world::World;

#[tokio::test]
async fn the_page_is_used_over_https_and_wss() {
    let Some(driver) = Driver::start() else { return };
    let world = World::up();
    let browser = driver.open(1280, 800).await;
    browser.go(&format!("https://{}/", world.page)).await;
    browser.type_into("#name", &format!("ada{ENTER}")).await;
    browser.until("document.querySelector('.sidebar') !== null").await;
    browser.until("location.protocol === 'https:' && isSecureContext").await;
    let (_bob, greeting) = LineClient::login(world.launcher.home.chat, "bob");
    assert!(greeting.contains("ada"), "her WebSocket is connected: {greeting}");
}
