//! Clients that mistake one port for another.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::http::get;
use crate::support::{PATIENCE, wait_for};
use crate::world::World;

fn heard(address: std::net::SocketAddr, sent: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(sent).unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).unwrap();
    String::from_utf8_lossy(&heard).into_owned()
}

#[test]
fn who_comes_to_the_wrong_port_is_told_of_the_right_one() {
    let world = World::up();
    let home = &world.launcher.home;
    let right = format!("port {} does", home.chat.port());
    for sent in [&b"ada\n"[..], b""] {
        let heard = heard(world.chat, sent);
        assert_eq!(heard, format!("This port speaks TLS; {right} not. Disconnecting...\n"), "{sent:?}");
    }
    let hello = [0x16, 3, 1, 0, 1, 1];
    for (plain, encrypted) in [(home.chat, world.chat), (home.book, world.book)] {
        let heard = heard(plain, &hello);
        let right =
            format!("This port does not speak TLS; port {} does. Disconnecting...\n", encrypted.port());
        assert!(heard.ends_with(&right), "{heard}");
    }
    assert!(heard(home.page, &hello).starts_with("HTTP/1.1 400"), "no HTTP");
    wait_for("the log of the page's server", || {
        let log = std::fs::read_to_string(home.logs().join("web-adapter.log")).ok()?;
        log.contains(&world.page.to_string()).then_some(())
    });
    assert_eq!(get(home.page, "/readyz").status, 200);
}

#[test]
fn garbage_and_half_a_handshake_end_and_cost_nobody_else_anything() {
    let world = World::up();
    for sent in [
        &[0x16, 3, 1, 0xff, 0xff, 1, 2, 3][..],
        &[0x16, 3, 3, 0, 4, 1, 0, 0, 0],
        &[0x16; 5000],
        &[0x15, 3, 1, 0, 2, 2, 40],
        &[0x17, 3, 3, 0, 1, 0],
    ] {
        for address in [world.chat, world.page, world.api] {
            // What is answered is an alert, a line, or nothing; it ends in any case, maybe with a reset.
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let _ = stream.write_all(sent);
            if let Err(error) = stream.read_to_end(&mut Vec::new()) {
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{sent:?}");
            }
        }
    }
    let silent: Vec<TcpStream> = (0..600).map(|_| TcpStream::connect(world.page).unwrap()).collect();
    let mut client = crate::renewal::Client::connect(world.page, &world.certificate()).unwrap();
    client.send("GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(client.hear("200 OK"), "with {} connections that never speak", silent.len());
    assert!(world.launcher.component("web-adapter").unwrap()["restarts"].as_u64().unwrap_or(0) == 0);
}
