//! jsonb there and back: text, wire, row and key bytes; order and hash agree; any text is answered.

#![allow(clippy::unwrap_used)]

use std::cmp::Ordering;

use proptest::prelude::*;
use types::hash::hash_vector;
use types::json::{self, Json, Jsonb};
use types::jsonpath::JsonPath;
use types::key::{KeyColumn, KeyLayout};
use types::text::{parse_text, read_binary, to_text, write_binary};
use types::{DataType, Numeric, Physical, TextContext, Value, Vector};

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        "-?[0-9]{1,3}(\\.[0-9]{1,3})?|[0-9]{1,40}"
            .prop_map(|text| Json::Number(Numeric::parse(&text).unwrap())),
        "[^\u{0}]{0,6}|[a\u{1}]{0,2}".prop_map(Json::String),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
            proptest::collection::vec(("[ab\u{1}é]{0,2}", inner), 0..4).prop_map(Json::Object),
        ]
    })
}

fn bytes_of(value: &Value) -> &[u8] {
    match value {
        Value::Jsonb(bytes) => bytes,
        other => panic!("{other:?} is no jsonb"),
    }
}

fn hash_of(value: &Value) -> u64 {
    let mut hashes = [0];
    hash_vector(&Vector::constant(value, Physical::Jsonb, 1), &mut hashes);
    hashes[0]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn values_come_back(json in json()) {
        let cx = TextContext::default();
        let value = Value::jsonb(&json).unwrap();
        json::binary::check(bytes_of(&value)).unwrap();

        let text = to_text(&value, DataType::JSONB, &cx);
        let read = parse_text(DataType::JSONB, &text, &cx).unwrap();
        prop_assert_eq!(bytes_of(&read), bytes_of(&value), "{}", text);

        let mut wire = Vec::new();
        write_binary(&value, DataType::JSONB, &mut wire);
        prop_assert_eq!(&wire[1..], text.as_bytes());
        let read = read_binary(DataType::JSONB, &wire).unwrap();
        prop_assert_eq!(bytes_of(&read), bytes_of(&value));

        let mut pretty = Vec::new();
        json::pretty(Jsonb(bytes_of(&value)), &mut pretty);
        let read = Json::parse(&String::from_utf8(pretty).unwrap()).unwrap().encode().unwrap();
        prop_assert_eq!(read.as_slice(), bytes_of(&value));
    }

    #[test]
    fn order_key_and_hash_agree(a in json(), b in json()) {
        let layout = KeyLayout::new(vec![KeyColumn::ascending(DataType::JSONB)]);
        let values = [Value::jsonb(&a).unwrap(), Value::jsonb(&b).unwrap()];
        let keys: Vec<Vec<u8>> = values
            .iter()
            .map(|value| {
                let mut key = Vec::new();
                layout.encode(std::slice::from_ref(value), &mut key).unwrap();
                key
            })
            .collect();
        let order = values[0].cmp(&values[1]);
        prop_assert_eq!(order, keys[0].cmp(&keys[1]));
        prop_assert_eq!(order.reverse(), values[1].cmp(&values[0]));
        if order == Ordering::Equal {
            prop_assert_eq!(hash_of(&values[0]), hash_of(&values[1]));
        }
        let decoded = layout.decode(&keys[0]).unwrap();
        prop_assert_eq!(decoded[0].cmp(&values[0]), Ordering::Equal);
    }

    #[test]
    fn any_text_is_answered(text in "[\\[\\]{}:,\"\\\\ua0-9eE+. truefalsn-]{0,24}|\\PC{0,12}") {
        let strict = Json::parse(&text).is_ok();
        // What jsonb takes, json takes.
        prop_assert!(!strict || json::validate(&text).is_ok());
        let _ = JsonPath::parse(&text);
    }

    #[test]
    fn printed_paths_read_back(text in "(\\$|@|1|\"a\")([.\\[\\]()*?&|<=!+a-c0-2 -]|last|exists|\\*\\*|type){0,14}") {
        if let Ok(path) = JsonPath::parse(&text) {
            let shown = path.to_string();
            prop_assert_eq!(JsonPath::parse(&shown).unwrap(), path, "{}", shown);
        }
    }

    #[test]
    fn changed_bytes_are_refused_or_read(json in json(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = json.encode().unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if json::binary::check(&bytes).is_ok() {
            let again = Jsonb(&bytes).to_json().encode().unwrap();
            json::binary::check(&again).unwrap();
        }
    }
}
