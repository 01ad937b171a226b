//! Detection of different names that look the same (UTS 39).

use unicode_script::{Script, ScriptExtension, UnicodeScript};

/// The skeleton, which texts that look the same share; in lower case, because names are compared without case. Also for names that are not
/// [`UserName`](super::UserName)s, such as those of devices.
#[must_use]
pub fn skeleton_of(text: &str) -> String {
    unicode_security::skeleton(text).collect::<String>().to_lowercase()
}

/// Whether a text mixes no unrelated scripts, which is a way to imitate another name.
#[must_use]
pub fn is_of_one_writing(name: &str) -> bool {
    let mut scripts = ScriptExtension::from(Script::Common);
    let (mut chinese, mut japanese, mut korean, mut is_latin) = (true, true, true, true);
    for c in name.chars() {
        let of = c.script_extension();
        scripts.intersect_with(of);
        let within = |some: &[Script]| {
            of.is_common() || of.is_inherited() || some.iter().any(|script| of.contains_script(*script))
        };
        is_latin &= within(&[Script::Latin]);
        chinese &= within(&[Script::Latin, Script::Han, Script::Bopomofo]);
        japanese &= within(&[Script::Latin, Script::Han, Script::Hiragana, Script::Katakana]);
        korean &= within(&[Script::Latin, Script::Han, Script::Hangul]);
    }
    is_latin || chinese || japanese || korean || !scripts.is_empty()
}
