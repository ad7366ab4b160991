//! Keeps passwords out of what others can see of a statement (`pg_stat_activity`).

use std::borrow::Cow;

/// `text`, cut before a password that CREATE or ALTER ROLE, USER, GROUP is given.
///
/// Rather too much than too little: any text with those words loses what follows PASSWORD.
pub fn redact(text: &str) -> Cow<'_, str> {
    let Some(at) = find_word(text, "password") else { return Cow::Borrowed(text) };
    let has = |words: &[&str]| words.iter().any(|word| find_word(text, word).is_some());
    if !has(&["create", "alter"]) || !has(&["role", "user", "group"]) {
        return Cow::Borrowed(text);
    }
    let shown = text.get(..at + "password".len()).unwrap_or_default();
    Cow::Owned(format!("{shown} <hidden>"))
}

/// Where the word begins, in any case, not as a part of a longer one.
fn find_word(text: &str, word: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let is_part = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    let is_there = |at: usize| {
        bytes.get(at..at + word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word.as_bytes()))
    };
    (0..bytes.len()).find(|&at| {
        is_there(at)
            && !is_part(at.checked_sub(1).and_then(|before| bytes.get(before)))
            && !is_part(bytes.get(at + word.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_of_roles_are_hidden() {
        assert_eq!(redact("ALTER ROLE é PassWord 'x'"), "ALTER ROLE é PassWord <hidden>");
        assert_eq!(
            redact("create /* */ user u\nencrypted password E'a\\'b'"),
            "create /* */ user u\nencrypted password <hidden>"
        );
        for kept in ["select password from t", "alter table t add passwords text", "create role r", ""] {
            assert_eq!(redact(kept), kept);
        }
    }
}
