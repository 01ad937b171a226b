//! The page behind a proxy: in a browser, and by `curl`.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::proxy::{FULLCHAIN, KEY, Proxy, block, is_skipped, replaced};
use crate::support::line_client::LineClient;
use crate::support::{Home, Launcher, wait_for};
use crate::webdriver::{Driver, ENTER};

fn launcher(settings: &[&str]) -> Launcher {
    let home = Home::new().set("thermometer.enabled=false").set("web-adapter.trusted-proxies=127.0.0.1");
    settings.iter().fold(home, |home, setting| home.set(setting)).up()
}

fn nginx(launcher: &Launcher) -> Proxy {
    let page = launcher.home.page.to_string();
    Proxy::nginx(|address, directory| {
        let here = |name: &str| directory.join(name).display().to_string();
        let (listen, certificate, key) =
            (format!("listen {address} ssl"), here("certificate.pem"), here("key.pem"));
        let replacements =
            [("listen 443 ssl", &*listen), (FULLCHAIN, &certificate), (KEY, &key), ("127.0.0.1:8080", &page)];
        Proxy::nginx_http(directory, &replaced(&block("nginx", 0), &replacements))
    })
}

fn caddy(launcher: &Launcher, number: usize, name: &str) -> Proxy {
    let page = launcher.home.page.to_string();
    Proxy::caddy(|address, directory| {
        let site = site(address, directory);
        replaced(&block("caddyfile", number), &[(name, &site), ("127.0.0.1:8080", &page)])
    })
}

/// The head of a site with a certificate of its own.
fn site(address: SocketAddr, directory: &Path) -> String {
    let (ip, port, here) = (address.ip(), address.port(), directory.display());
    format!(
        "https://{ip}:{port}, https://localhost:{port} {{\nbind {ip}\ntls {here}/certificate.pem {here}/key.pem"
    )
}

fn apache(launcher: &Launcher) -> Proxy {
    let page = launcher.home.page.to_string();
    Proxy::apache(|address, directory| {
        let here = |name: &str| directory.join(name).display().to_string();
        let (host, certificate, key) =
            (format!("<VirtualHost {address}>"), here("certificate.pem"), here("key.pem"));
        let replacements = [
            ("<VirtualHost *:443>", &*host),
            (FULLCHAIN, &certificate),
            (KEY, &key),
            ("127.0.0.1:8080", &page),
        ];
        replaced(&block("apache", 0), &replacements)
    })
}

/// Somebody logs in on the page, and hears what is said to them over TCP.
async fn is_used(driver: &Driver, proxy: &Proxy, launcher: &Launcher, path: &str) {
    let browser = driver.open(1280, 800).await;
    browser.go(&format!("https://{}{path}", proxy.address)).await;
    browser.type_into("#name", &format!("ada{ENTER}")).await;
    browser.until("document.querySelector('.sidebar') !== null").await;
    let (mut bob, greeting) = LineClient::login(launcher.home.chat, "bob");
    assert!(greeting.contains("ada"), "her WebSocket is connected: {greeting}\n{}", proxy.log());
    bob.send("ada: through a proxy\n");
    browser.until("document.body.textContent.includes('through a proxy')").await;
}

/// The log of the web adapter names the client, whatever a client says itself.
fn is_named(proxy: &Proxy, launcher: &Launcher, path: &str) {
    let client = format!("127.0.0.{}", 3 + proxy.address.port() % 200);
    let url = format!("https://{}{path}ws", proxy.address);
    let refused = Command::new("curl")
        .args(["--silent", "--insecure", "--max-time", "20", "--interface", &client, "--http1.1"])
        .args(["--header", "Upgrade: websocket", "--header", "Connection: Upgrade"])
        .args([
            "--header",
            "Origin: https://elsewhere.example",
            "--header",
            "X-Forwarded-For: 203.0.113.9",
            &url,
        ])
        .output()
        .unwrap();
    let answer = String::from_utf8_lossy(&refused.stdout);
    assert!(answer.contains("elsewhere.example"), "{refused:?}\n{}", proxy.log());
    wait_for("the client's address in the log", || {
        let log = std::fs::read_to_string(launcher.home.logs().join("web-adapter.log")).unwrap();
        log.contains(&format!("client={client}")).then_some(())
    });
}

#[tokio::test]
async fn the_page_is_used_behind_nginx() {
    let Some(driver) = Driver::start().filter(|_| !is_skipped()) else { return };
    let launcher = launcher(&[]);
    let proxy = nginx(&launcher);
    is_used(&driver, &proxy, &launcher, "/").await;
    is_named(&proxy, &launcher, "/");
}

#[tokio::test]
async fn the_page_is_used_behind_caddy() {
    let Some(driver) = Driver::start().filter(|_| !is_skipped()) else { return };
    let launcher = launcher(&[]);
    let proxy = caddy(&launcher, 0, "chat.example {");
    is_used(&driver, &proxy, &launcher, "/").await;
    is_named(&proxy, &launcher, "/");
}

#[tokio::test]
async fn the_page_is_used_behind_apache() {
    let Some(driver) = Driver::start().filter(|_| !is_skipped()) else { return };
    let launcher = launcher(&[]);
    let proxy = apache(&launcher);
    is_used(&driver, &proxy, &launcher, "/").await;
    is_named(&proxy, &launcher, "/");
}

#[tokio::test]
async fn the_page_is_used_below_a_path() {
    let Some(driver) = Driver::start().filter(|_| !is_skipped()) else { return };
    let launcher = launcher(&["web-adapter.base-path=/chat"]);
    let proxy = caddy(&launcher, 1, "www.example {");
    is_used(&driver, &proxy, &launcher, "/chat/").await;
    is_named(&proxy, &launcher, "/chat/");
}
