//! Tests of the book with explicit times.

use super::*;
use std::net::Ipv4Addr;
use std::time::Duration;

use protocol::lan::datagram::SILENCE;

fn key(n: u32) -> PeerKey {
    PeerKey::Legacy(Ipv4Addr::from(0x0a00_0000 + n).into())
}

fn at() -> Timestamp {
    Timestamp::from_micros(1)
}

#[test]
fn silent_transient_peers_are_dropped_and_persistent_ones_go_offline() {
    let start = Instant::now();
    let mut book = Book::new(Vec::new(), start);
    assert_eq!(book.record_sighting(key(1), Evidence::Presence, start, at()), Sighting::New);
    assert_eq!(book.record_sighting(key(2), Evidence::Presence, start, at()), Sighting::New);
    assert!(
        book.record_message(key(2), false, at()).is_some()
            && book.record_message(key(2), false, at()).is_none()
    );
    let later = start + SILENCE - Duration::from_millis(1);
    assert!(!book.expire(later) && book.present(later).len() == 2);
    assert_eq!(book.record_sighting(key(1), Evidence::Presence, later, at()), Sighting::Known);
    let end = start + SILENCE;
    assert!(book.expire(end) && !book.expire(end));
    assert!(book.expire(later + SILENCE));
    let left = book.list(end, "me");
    assert_eq!(left.iter().map(|peer| (peer.key, peer.online)).collect::<Vec<_>>(), [(key(2), false)]);
    assert_eq!(book.record_sighting(key(2), Evidence::Presence, end, at()), Sighting::New);
}

#[test]
fn a_peer_without_presence_can_be_answered_for_a_while_after_its_message() {
    let start = Instant::now();
    let mut book = Book::new(Vec::new(), start);
    assert_eq!(book.record_sighting(key(1), Evidence::Message, start, at()), Sighting::New);
    let later = start + 30 * SILENCE;
    assert!(!book.expire(later) && book.is_online(key(1), later));
    assert!(!book.is_present(Ipv4Addr::new(10, 0, 0, 1).into(), start), "presence is another thing");
    assert_eq!(book.record_sighting(key(1), Evidence::Message, later, at()), Sighting::Known);
    // Once presence arrives it counts, and a message in between has no effect.
    assert_eq!(book.record_sighting(key(1), Evidence::Presence, later, at()), Sighting::Known);
    assert_eq!(book.record_sighting(key(1), Evidence::Message, later, at()), Sighting::Known);
    let end = later + SILENCE;
    assert!(!book.is_online(key(1), end) && book.expire(end) && !book.knows(key(1)));
    book.record_sighting(key(1), Evidence::Message, end, at());
    assert!(book.expire(end + peer::ANSWERABLE) && !book.knows(key(1)));
}

#[test]
fn a_peer_that_only_sends_messages_stays_a_stranger() {
    let acquaint: [fn(&mut Book); 3] = [
        |book| drop(book.record_message(PeerKey::Node(ONE), true, at())),
        |book| drop(book.set_trust(ONE, Trust::Verified)),
        |book| drop(book.rename(PeerKey::Node(ONE), "alice".into())),
    ];
    for acquainted in acquaint {
        let mut book = Book::new(Vec::new(), Instant::now());
        meet(&mut book, ONE, "alice");
        book.record_message(PeerKey::Node(ONE), false, at());
        assert!(book.is_stranger(ONE));
        acquainted(&mut book);
        assert!(!book.is_stranger(ONE));
    }
}

#[test]
fn an_address_stays_a_nodes_after_it_has_left() {
    let now = Instant::now();
    let mut book = Book::new(Vec::new(), now);
    meet(&mut book, ONE, "alice");
    let ip = Ipv4Addr::new(10, 0, 0, 1).into();
    assert_eq!(book.nodes_at(ip), [ONE]);
    book.link(ONE, true, now, at());
    book.link(ONE, false, now, at());
    assert_eq!(book.nodes_at(ip), [ONE]);
    assert!(book.nodes_at(Ipv4Addr::new(10, 0, 0, 2).into()).is_empty());
    book.set_trust(ONE, Trust::Blocked);
    assert!(book.nodes_at(ip).is_empty());
}

#[test]
fn forged_presence_displaces_nobody_and_takes_bounded_room() {
    let start = Instant::now();
    let mut book = Book::new(Vec::new(), start);
    book.record_sighting(key(1), Evidence::Presence, start, at());
    let mut now = start;
    for n in 0..100_000 {
        now = start + Duration::from_micros(100 * u64::from(n));
        book.record_sighting(key(1 + n), Evidence::Presence, now, at());
        if n % 1000 == 0 {
            book.record_sighting(key(1), Evidence::Presence, now, at());
            book.expire(now);
        }
    }
    assert!(book.list(now, "me").len() <= MAX_TRANSIENT);
    assert!(book.knows(key(1)));
    now += SILENCE;
    book.expire(now);
    assert_eq!((book.list(now, "me").len(), book.transient), (0, 0));
    assert_eq!(book.record_sighting(key(7), Evidence::Presence, now, at()), Sighting::New);
}

const ONE: NodeId = NodeId::from_bytes([1; 32]);
const OTHER: NodeId = NodeId::from_bytes([2; 32]);
const THIRD: NodeId = NodeId::from_bytes([3; 32]);

fn meet(book: &mut Book, id: NodeId, name: &str) -> bool {
    book.record_authenticated(id, name, ([10, 0, 0, 1], 47600).into(), at()).is_suspect
}

fn names(book: &Book) -> Vec<String> {
    book.list(Instant::now(), "me").into_iter().map(|peer| peer.name).collect()
}

#[test]
fn a_known_name_with_another_key_is_suspect_until_the_user_decides() {
    let acquaint: [fn(&mut Book); 3] = [
        |book| drop(book.record_message(PeerKey::Node(ONE), false, at())),
        |book| drop(book.set_trust(ONE, Trust::Verified)),
        |book| drop(book.rename(PeerKey::Node(ONE), "ALICE".into())),
    ];
    for acquainted in acquaint {
        let mut book = Book::new(Vec::new(), Instant::now());
        assert!(!meet(&mut book, ONE, "alice"));
        acquainted(&mut book);
        assert!(!meet(&mut book, ONE, "alice"));
        assert!(meet(&mut book, OTHER, "Alice"));
        assert_eq!(book.trust(OTHER), Trust::Changed);
        assert_ne!(book.trust(ONE), Trust::Changed);
        // Only the newcomer's name is doubtful.
        assert!(names(&book).contains(&"Alice (0202-0202-0202-0202-0202)".to_owned()), "{:?}", names(&book));
        assert!(names(&book).iter().any(|name| name.eq_ignore_ascii_case("alice")));
        // Reconnecting or renaming does not help.
        assert!(!meet(&mut book, OTHER, "Alice") && book.trust(OTHER) == Trust::Changed);
        book.set_trust(OTHER, Trust::New);
        assert!(!meet(&mut book, OTHER, "Alice") && book.trust(OTHER) == Trust::New);
        meet(&mut book, OTHER, "bob");
        assert!(meet(&mut book, OTHER, "alice"));
    }
}

#[test]
fn strangers_of_one_name_are_shown_apart_and_nobody_is_warned() {
    let mut book = Book::new(Vec::new(), Instant::now());
    assert!(!meet(&mut book, ONE, "debian") && !meet(&mut book, OTHER, "Debian"));
    assert_eq!((book.trust(ONE), book.trust(OTHER)), (Trust::New, Trust::New));
    assert_eq!(names(&book), ["Debian (0202-0202-0202-0202-0202)", "debian (0101-0101-0101-0101-0101)"]);
    // A peer becomes known when we talk with it; the other was there before and is not new.
    book.record_message(PeerKey::Node(ONE), false, at());
    assert!(!meet(&mut book, OTHER, "Debian"));
    assert!(meet(&mut book, THIRD, "debian"));
    book.rename(PeerKey::Node(OTHER), "printer".into());
    assert_eq!(names(&book), ["debian", "debian (0303-0303-0303-0303-0303)", "printer"]);
    // Stored peers are known after a restart, too.
    let people = book.peers.values().map(|known| known.person.clone()).collect();
    let mut book = Book::new(people, Instant::now());
    assert!(meet(&mut book, NodeId::from_bytes([4; 32]), "debian"));
}

#[test]
fn names_that_only_look_like_a_known_one_are_warned_of_and_shown_apart() {
    let mut book = Book::new(Vec::new(), Instant::now());
    meet(&mut book, ONE, "alice");
    book.record_message(PeerKey::Node(ONE), true, at());
    // The first letter is Cyrillic.
    assert!(meet(&mut book, OTHER, "\u{430}lice"));
    assert_eq!(book.trust(OTHER), Trust::Changed);
    let mut book = Book::new(Vec::new(), Instant::now());
    meet(&mut book, ONE, "debian");
    meet(&mut book, OTHER, "deb\u{456}an");
    meet(&mut book, THIRD, "debian (0202-0202-0202-0202-0202)");
    let shown = names(&book);
    assert!(shown.iter().any(|name| name == "debian (0101-0101-0101-0101-0101)"), "{shown:?}");
    assert!(shown.iter().any(|name| name == "deb\u{456}an (0202-0202-0202-0202-0202)"), "{shown:?}");
    assert!(
        shown.iter().any(|name| name == "debian (0202-0202-0202-0202-0202) (0303-0303-0303-0303-0303)"),
        "{shown:?}"
    );
}

#[test]
fn a_peer_with_our_own_name_is_shown_apart() {
    let mut book = Book::new(Vec::new(), Instant::now());
    // "me", the second letter Cyrillic.
    meet(&mut book, ONE, "m\u{435}");
    meet(&mut book, OTHER, "somebody");
    assert_eq!(names(&book), ["m\u{435} (0101-0101-0101-0101-0101)", "somebody"]);
    assert_eq!(book.trust(ONE), Trust::New, "two machines of one name are no reason to warn");
}

#[test]
fn legacy_peers_and_nodes_of_one_name_are_shown_apart() {
    let now = Instant::now();
    let mut book = Book::new(Vec::new(), now);
    for n in 1..=3 {
        book.record_sighting(key(n), Evidence::Presence, now, at());
    }
    book.rename(key(1), "printer".into());
    meet(&mut book, ONE, "Pr\u{456}nter");
    // As the second peer's address looks, with a letter for a digit.
    meet(&mut book, OTHER, "l0.0.0.2");
    book.rename(key(3), "scanner".into());
    assert_eq!(
        names(&book),
        [
            "10.0.0.2",
            "printer (10.0.0.1)",
            "scanner",
            "Pr\u{456}nter (0101-0101-0101-0101-0101)",
            "l0.0.0.2 (0202-0202-0202-0202-0202)"
        ]
    );
    book.rename(key(2), "scanner".into());
    assert!(names(&book).contains(&"scanner (10.0.0.2)".to_owned()));
    assert!(names(&book).contains(&"scanner (10.0.0.3)".to_owned()));
}

#[test]
fn two_that_are_blocked_are_shown_apart_and_the_one_that_is_believed_keeps_the_name() {
    let mut book = Book::new(Vec::new(), Instant::now());
    meet(&mut book, ONE, "alice");
    book.set_trust(ONE, Trust::Blocked);
    assert_eq!(names(&book), ["alice"]);
    meet(&mut book, OTHER, "Alice");
    book.set_trust(OTHER, Trust::Blocked);
    assert_eq!(names(&book), ["Alice (0202-0202-0202-0202-0202)", "alice (0101-0101-0101-0101-0101)"]);
    meet(&mut book, THIRD, "alice");
    assert!(names(&book).contains(&"alice".to_owned()), "{:?}", names(&book));
}

#[test]
fn keys_that_begin_alike_are_shown_apart() {
    let mut book = Book::new(Vec::new(), Instant::now());
    let made = |last: u8| {
        // As many digits as a brute-force search can match.
        let mut id = [1; 32];
        id[7] = last;
        NodeId::from_bytes(id)
    };
    meet(&mut book, made(1), "alice");
    meet(&mut book, made(2), "alice");
    assert_eq!(names(&book), ["alice (0101-0101-0101-0101-0101)", "alice (0101-0101-0101-0102-0101)"]);
}

#[test]
fn a_name_given_here_stays() {
    let now = Instant::now();
    let mut book = Book::new(Vec::new(), now);
    assert!(book.rename(key(1), "printer".into()).is_none());
    book.record_sighting(key(1), Evidence::Presence, now, at());
    let person = book.rename(key(1), "printer".into()).unwrap();
    let book = Book::new(vec![person], now);
    assert_eq!(book.list(now, "me")[0].name, "printer");
    assert!(!book.list(now, "me")[0].online);
}

#[test]
fn a_peer_that_is_found_as_a_node_is_listed_once() {
    let start = Instant::now();
    let mut book = Book::new(Vec::new(), start);
    let keys = |book: &Book, now| -> Vec<(PeerKey, bool)> {
        book.list(now, "me").into_iter().map(|peer| (peer.key, peer.online)).collect()
    };
    book.record_sighting(key(1), Evidence::Presence, start, at());
    book.record_authenticated(ONE, "alice", ([10, 0, 0, 1], 47600).into(), at());
    assert_eq!(keys(&book, start), [(key(1), true), (PeerKey::Node(ONE), false)]);
    book.link(ONE, true, start, at());
    assert_eq!(keys(&book, start), [(PeerKey::Node(ONE), true)]);
    book.link(ONE, false, start, at());
    assert_eq!(keys(&book, start), [(PeerKey::Node(ONE), false)], "its last presence is still its own");
    let later = start + SILENCE;
    book.record_sighting(key(1), Evidence::Presence, later, at());
    assert_eq!(keys(&book, later), [(key(1), true), (PeerKey::Node(ONE), false)]);
    // An unencrypted conversation stays visible.
    book.record_message(key(1), false, at());
    book.link(ONE, true, later, at());
    assert_eq!(keys(&book, later), [(PeerKey::Node(ONE), true), (key(1), false)]);
}

#[test]
fn a_node_is_not_dialled_at_an_address_of_another_node() {
    let now = Instant::now();
    let mut book = Book::new(Vec::new(), now);
    let place = SocketAddr::from(([10, 0, 0, 1], 47600));
    book.record_authenticated(ONE, "alice", place, at());
    book.record_authenticated(OTHER, "bob", place, at());
    assert!(!book.is_place_of_another(ONE, place));
    book.link(OTHER, true, now, at());
    assert!(book.is_place_of_another(ONE, place) && !book.is_place_of_another(OTHER, place));
}
