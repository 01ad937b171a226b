use super::*;
use proptest::prelude::*;

fn name(text: &str) -> UserName {
    UserName::parse(text).unwrap()
}

fn refused(text: &str) -> String {
    UserName::parse(text).unwrap_err().to_string()
}

#[test]
fn names_are_compared_without_regard_to_case_and_shown_as_written() {
    let joe = name(" Joe ");
    assert_eq!(joe, name("joe"));
    assert_eq!(joe.as_str(), "Joe");
    assert_eq!(name("ÅSA"), name("a\u{30a}sa"));
}

#[test]
fn bad_names_say_what_is_wrong() {
    assert_eq!(refused("  "), "a name cannot be empty");
    assert_eq!(refused(&"x".repeat(33)), "a name has at most 32 characters");
    assert_eq!(refused("two words"), "a name cannot hold a space; use letters, digits, '_', '-' and '.'");
    assert_eq!(refused("a:b"), "a name cannot hold ':'; use letters, digits, '_', '-' and '.'");
    assert_eq!(refused("a\u{1b}b"), "a name cannot hold U+001B; use letters, digits, '_', '-' and '.'");
}

#[test]
fn a_name_of_dots_alone_is_refused_and_can_still_be_read() {
    for dots in [".", "..", "....", "\u{2024}", "\u{2026}", "\u{ff0e}\u{ff0e}"] {
        assert_eq!(refused(dots), "a name cannot be made of dots alone; add a letter or a digit", "{dots}");
    }
    assert_eq!(UserName::stored("..").unwrap().key(), "..");
    assert_eq!(serde_json::from_str::<UserName>("\"..\"").unwrap().as_str(), "..");
    for odd in ["_", "-", "--", "-x", ".x", "x.", "..x", "._."] {
        assert_eq!(name(odd).as_str(), odd);
    }
}

#[test]
fn names_with_combining_marks_are_names() {
    for text in [
        "สมศักดิ์",
        "हिन्दी",
        "İstanbul",
        "i\u{307}",
        "န\u{103e}\u{103d}\u{102e}\u{1038}",
        "שָׁלוֹם",
        "g\u{303}",
        "தமிழ்",
        "བོད་".trim_end_matches('་'),
    ] {
        let one = name(text);
        assert_eq!(name(one.as_str()), one);
        let key = name(one.key());
        assert_eq!((key.as_str(), key.key()), (one.key(), one.key()), "{text}");
        assert!(NewName::new(one).is_ok(), "{text}");
    }
    assert_eq!(name("İstanbul"), name("i\u{307}stanbul"));
    assert_ne!(name("İstanbul"), name("istanbul"));
}

#[test]
fn marks_stand_on_letters_and_are_few() {
    let lone = "a name holds marks only after a letter or a digit; leave U+0301 out";
    for text in ["\u{301}", "\u{301}x", "x-\u{301}", ".\u{301}"] {
        assert_eq!(refused(text), lone, "{text}");
    }
    assert!(UserName::parse("x\u{321}\u{322}\u{327}\u{328}").is_ok());
    let heap = refused("x\u{321}\u{322}\u{327}\u{328}\u{331}");
    assert_eq!(heap, "a name has at most 4 marks on a letter, each once; leave U+0331 out");
    assert_eq!(
        refused("x\u{331}\u{331}"),
        "a name has at most 4 marks on a letter, each once; leave U+0331 out"
    );
    assert!(UserName::parse("x\u{20dd}").is_err(), "enclosing marks are no part of writing");
}

#[test]
fn what_cannot_be_seen_is_refused_and_what_was_stored_of_it_can_be_read() {
    for c in ('\0'..=char::MAX).filter(|c| crate::sanitise::is_invisible(*c)) {
        let text = format!("thermometer1{c}x");
        assert!(UserName::parse(&text).is_err(), "U+{:04X}", u32::from(c));
    }
    assert!(UserName::stored("thermometer1\u{3164}").is_ok(), "earlier versions took it");
    assert_eq!(
        refused("thermometer1\u{3164}"),
        "a name cannot hold U+1160; use letters, digits, '_', '-' and '.'"
    );
    assert_eq!(refused("a\u{200d}b"), "a name cannot hold U+200D; use letters, digits, '_', '-' and '.'");
}

#[test]
fn a_new_name_is_of_one_script() {
    let new = |text| NewName::new(name(text)).map(|_| ());
    for text in [
        "alice",
        "алиса",
        "Αλίκη",
        "日本Abc",
        "すずき日x",
        "김철수Kim",
        "李ㄅ",
        "bob_2.x-7",
        "сергей99",
        "Ñandú",
        "עדי",
        "მარიამ",
    ] {
        assert_eq!(new(text), Ok(()), "{text}");
    }
    for text in ["аlice", "pаypal", "Αlice", "aliցe", "алиcа", "日本я", "김я", "アя", "한あ"]
    {
        assert_eq!(new(text), Err(NameError::MixedScripts), "{text}");
        assert!(UserName::stored(text).is_ok());
    }
}

#[test]
fn names_that_look_the_same_have_one_skeleton() {
    let same = |one: &str, other: &str| name(one).skeleton() == name(other).skeleton();
    for (one, other) in [
        ("thermometer1", "thermometerl"),
        ("thermometer1", "therrnometer1"),
        ("alice", "аӏісе"),
        ("alice", "aIice"),
        ("bob0", "bobo"),
        ("openai", "ореnаі"),
        ("Bob", "bob"),
        ("a-b", "a\u{2010}b"),
    ] {
        let Ok(other) = UserName::stored(other) else { continue };
        assert_eq!(name(one).skeleton(), other.skeleton(), "{one} {other}");
    }
    for (one, other) in [("alice", "alicia"), ("ann", "anna"), ("bob1", "bob2"), ("a-b", "a_b")] {
        assert!(!same(one, other), "{one} {other}");
    }
}

#[test]
fn the_short_way_to_a_skeleton_leads_to_the_same() {
    for c in ('\0'..='\x7f').filter(char::is_ascii_graphic) {
        let Ok(one) = UserName::stored(&format!("z{c}")) else { continue };
        let long: String = unicode_security::skeleton(one.as_str()).collect::<String>().to_lowercase();
        assert_eq!(*one.skeleton(), *long, "{c}");
    }
}

#[test]
fn a_reserved_name_is_guarded_against_its_lookalikes() {
    let reserved: Reserved = ["thermometer1", "openai"].map(name).into_iter().collect();
    assert!(reserved.contains(&name("OpenAI")));
    assert_eq!(reserved.lookalike(&name("OpenAI")), None, "it is the name itself");
    assert_eq!(reserved.lookalike(&name("openal")).map(UserName::as_str), None);
    assert_eq!(reserved.lookalike(&name("ThermometerI")).map(UserName::as_str), Some("thermometer1"));
    let hidden = UserName::stored("thermometer1\u{3164}").unwrap();
    assert_eq!(reserved.lookalike(&hidden).map(UserName::as_str), Some("thermometer1"));
    assert_eq!(Reserved::default().lookalike(&hidden), None);
}

#[test]
fn the_key_of_every_letter_is_a_name_and_its_own_key() {
    assert_eq!(name("\u{130}").key(), "i\u{307}");
    // Between them lie scripts without case.
    let cased = ('\0'..'\u{3400}').chain('\u{a000}'..'\u{ac00}').chain('\u{f900}'..'\u{20000}');
    for name in cased.filter_map(|c| UserName::parse(&c.to_string()).ok()) {
        let key = UserName::parse(name.key()).unwrap();
        assert_eq!((key.as_str(), key.key()), (name.key(), name.key()));
    }
}

proptest! {
    #[test]
    fn a_parsed_name_parses_to_itself(text in "\\PC{0,40}|[a-z\\p{M}.İς]{1,12}") {
        if let Ok(name) = UserName::parse(&text) {
            let again = UserName::parse(name.as_str()).unwrap();
            prop_assert_eq!(again.as_str(), name.as_str());
            prop_assert_eq!(again.key(), name.key());
            let key = UserName::parse(name.key()).unwrap();
            prop_assert_eq!((key.as_str(), key.key()), (name.key(), name.key()));
        }
        if let Ok(name) = UserName::stored(&text) {
            let key = UserName::stored(name.key()).unwrap();
            prop_assert_eq!((key.as_str(), key.key()), (name.key(), name.key()));
        }
    }

    #[test]
    fn nothing_makes_the_parser_panic(text in any::<String>()) {
        let _ = UserName::parse(&text).map(NewName::new);
        let _ = UserName::stored(&text).map(|name| name.skeleton());
    }
}
