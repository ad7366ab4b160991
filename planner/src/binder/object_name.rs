//! Names that PostgreSQL makes up: `t_a_key`, `t_pkey`, `t_a_seq`.
//!
//! Used by the DDL binders. As `makeObjectName` and `ChooseRelationName`: parts are cut so that the whole
//! fits 63 bytes, and a number is added until the name is free.

use catalog::{Catalog, SchemaId, TableDef};

const MAX_NAME: usize = 63;

/// `first_second_label`, the longer of the first two cut until it fits.
pub(super) fn object_name(first: &str, second: Option<&str>, label: &str) -> String {
    let overhead = 1 + label.len() + usize::from(second.is_some());
    let room = MAX_NAME.saturating_sub(overhead);
    let (mut a, mut b) = (first.len(), second.map_or(0, str::len));
    while a + b > room {
        if a > b {
            a -= 1;
        } else {
            b -= 1;
        }
    }
    let cut = |text: &str, mut end: usize| {
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.get(..end).unwrap_or(text).to_string()
    };
    match second {
        Some(second) => format!("{}_{}_{label}", cut(first, a), cut(second, b)),
        None => format!("{}_{label}", cut(first, a)),
    }
}

/// Columns' names in a row, as long as they fit: the middle of an index's name.
pub(super) fn joined(names: &[String]) -> String {
    let mut out = String::new();
    for name in names {
        if out.len() > MAX_NAME {
            break;
        }
        if !out.is_empty() {
            out.push('_');
        }
        out.push_str(name);
    }
    types::text::truncate_name(&out).to_string()
}

/// The names of a schema's relations and of a table's constraints, those of this statement included.
pub(super) struct Taken<'c> {
    catalog: &'c Catalog,
    schema: SchemaId,
    relations: Vec<String>,
    constraints: Vec<String>,
}

impl<'c> Taken<'c> {
    pub(super) fn new(catalog: &'c Catalog, schema: SchemaId, table: Option<&TableDef>) -> Taken<'c> {
        let constraints = table.map_or(Vec::new(), |table| {
            table.constraints.iter().map(|constraint| constraint.name.clone()).collect()
        });
        Taken { catalog, schema, relations: Vec::new(), constraints }
    }

    pub(super) fn has_relation(&self, name: &str) -> bool {
        self.catalog.relation_in(self.schema, name).is_some()
            || self.relations.iter().any(|other| other == name)
    }

    pub(super) fn has_constraint(&self, name: &str) -> bool {
        self.constraints.iter().any(|other| other == name)
    }

    pub(super) fn add_relation(&mut self, name: &str) {
        self.relations.push(name.to_string());
    }

    pub(super) fn add_constraint(&mut self, name: &str) {
        self.constraints.push(name.to_string());
    }

    /// A free relation name; taken from now on.
    pub(super) fn relation(&mut self, first: &str, second: Option<&str>, label: &str) -> String {
        let name = self.choose(first, second, label, |taken, name| taken.has_relation(name));
        self.add_relation(&name);
        name
    }

    /// A free name for a constraint with an index: free as both.
    pub(super) fn index_constraint(&mut self, first: &str, second: Option<&str>, label: &str) -> String {
        let name = self.choose(first, second, label, |taken, name| {
            taken.has_relation(name) || taken.has_constraint(name)
        });
        self.add_relation(&name);
        self.add_constraint(&name);
        name
    }

    /// A free constraint name; taken from now on.
    pub(super) fn constraint(&mut self, first: &str, second: Option<&str>, label: &str) -> String {
        let name = self.choose(first, second, label, |taken, name| taken.has_constraint(name));
        self.add_constraint(&name);
        name
    }

    fn choose(
        &self,
        first: &str,
        second: Option<&str>,
        label: &str,
        is_taken: impl Fn(&Self, &str) -> bool,
    ) -> String {
        let mut name = object_name(first, second, label);
        let mut number = 0u32;
        while is_taken(self, &name) {
            number += 1;
            name = object_name(first, second, &format!("{label}{number}"));
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::{joined, object_name};

    #[test]
    fn long_names_are_cut_evenly() {
        assert_eq!(object_name("t", Some("a"), "key"), "t_a_key");
        assert_eq!(object_name("t", None, "pkey"), "t_pkey");
        let name = object_name(&"x".repeat(63), Some(&"y".repeat(63)), "fkey");
        assert_eq!(name.len(), 63);
        assert!(name.ends_with("y_fkey") && name.starts_with('x'));
        assert_eq!(joined(&["a".to_string(), "b".to_string()]), "a_b");
    }
}
