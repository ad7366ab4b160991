//! Rights as they are granted: who may do what with an object, and who said so.
//!
//! An [`AclDef`] lies beside the object it is about, under the object's OID; without one the built-in
//! default counts ([`default_items`]): everything for the owner, and what PostgreSQL gives to PUBLIC.
//! The text of an item is PostgreSQL's `aclitem`: `ann=r*w/postgres`.

use crate::object::{DatabaseId, RelationId, RoleId, SchemaId};

/// A set of rights, one bit each, in the order `aclitem` prints them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rights(pub u16);

macro_rules! rights {
    ($($name:ident $bit:literal $letter:literal $word:literal;)*) => {
        impl Rights {
            $(pub const $name: Rights = Rights(1 << $bit);)*
        }
        /// Each right: its letter and its key word.
        const EACH: &[(Rights, char, &str)] = &[$((Rights::$name, $letter, $word)),*];
    };
}

rights! {
    INSERT 0 'a' "INSERT";
    SELECT 1 'r' "SELECT";
    UPDATE 2 'w' "UPDATE";
    DELETE 3 'd' "DELETE";
    TRUNCATE 4 'D' "TRUNCATE";
    REFERENCES 5 'x' "REFERENCES";
    TRIGGER 6 't' "TRIGGER";
    EXECUTE 7 'X' "EXECUTE";
    USAGE 8 'U' "USAGE";
    CREATE 9 'C' "CREATE";
    TEMPORARY 10 'T' "TEMPORARY";
    CONNECT 11 'c' "CONNECT";
}

impl Rights {
    pub const NONE: Rights = Rights(0);

    /// By key word, in any case; TEMP is TEMPORARY.
    pub fn named(word: &str) -> Option<Rights> {
        let word = if word.eq_ignore_ascii_case("temp") { "TEMPORARY" } else { word };
        EACH.iter().find(|(_, _, name)| name.eq_ignore_ascii_case(word)).map(|(right, ..)| *right)
    }

    pub fn or(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }

    pub fn and(self, other: Rights) -> Rights {
        Rights(self.0 & other.0)
    }

    pub fn without(self, other: Rights) -> Rights {
        Rights(self.0 & !other.0)
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn has_all(self, other: Rights) -> bool {
        self.0 & other.0 == other.0
    }

    pub fn has_any(self, other: Rights) -> bool {
        self.0 & other.0 != 0
    }

    /// Key words of the rights in the set.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        EACH.iter().filter(move |(right, ..)| self.has_any(*right)).map(|(_, _, word)| *word)
    }
}

/// What rights are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AclKind {
    Table,
    Column,
    Sequence,
    Schema,
    Database,
}

impl AclKind {
    /// What ALL means.
    pub fn all(self) -> Rights {
        Rights(match self {
            AclKind::Table => 0b0111_1111,
            AclKind::Column => Rights::INSERT.0 | Rights::SELECT.0 | Rights::UPDATE.0 | Rights::REFERENCES.0,
            AclKind::Sequence => Rights::SELECT.0 | Rights::UPDATE.0 | Rights::USAGE.0,
            AclKind::Schema => Rights::USAGE.0 | Rights::CREATE.0,
            AclKind::Database => Rights::CREATE.0 | Rights::TEMPORARY.0 | Rights::CONNECT.0,
        })
    }
}

/// PUBLIC among grantees.
pub const EVERYBODY: RoleId = RoleId(0);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AclItem {
    pub grantee: RoleId,
    pub grantor: RoleId,
    pub rights: Rights,
    /// WITH GRANT OPTION.
    pub grantable: Rights,
}

/// Whose rights these are: the key of an [`AclDef`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AclTarget {
    Database(DatabaseId),
    Schema(SchemaId),
    /// A table, view or sequence, with the columns of it.
    Relation(RelationId),
    /// ALTER DEFAULT PRIVILEGES of a role.
    Defaults(RoleId),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AclDef {
    pub target: AclTarget,
    /// `None`: the built-in default (only columns, or only defaults, were granted).
    pub items: Option<Vec<AclItem>>,
    /// Columns by number.
    pub columns: Vec<(i16, Vec<AclItem>)>,
    pub defaults: Vec<DefaultAcl>,
}

/// What a role's new objects of a kind begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultAcl {
    /// `None`: in every schema, instead of the built-in default; else added to it.
    pub schema: Option<SchemaId>,
    pub kind: AclKind,
    pub items: Vec<AclItem>,
}

impl AclDef {
    pub fn empty(target: AclTarget) -> AclDef {
        AclDef { target, items: None, columns: Vec::new(), defaults: Vec::new() }
    }

    pub fn is_default(&self) -> bool {
        self.items.is_none() && self.columns.is_empty() && self.defaults.is_empty()
    }

    pub fn column(&self, number: i16) -> &[AclItem] {
        self.columns.iter().find(|(known, _)| *known == number).map_or(&[], |(_, items)| items)
    }

    /// Every list of items, for a walk over the roles in them.
    pub fn all_items(&self) -> impl Iterator<Item = &AclItem> {
        self.items
            .iter()
            .flatten()
            .chain(self.columns.iter().flat_map(|(_, items)| items))
            .chain(self.defaults.iter().flat_map(|default| &default.items))
    }

    /// Without anything to or from `role`.
    pub fn forget(&mut self, role: RoleId) {
        let keep = |item: &AclItem| item.grantee != role && item.grantor != role;
        if let Some(items) = &mut self.items {
            items.retain(keep);
        }
        self.columns.iter_mut().for_each(|(_, items)| items.retain(keep));
        self.columns.retain(|(_, items)| !items.is_empty());
        self.defaults.iter_mut().for_each(|default| default.items.retain(keep));
    }
}

/// What an object has without an [`AclDef`].
pub fn default_items(kind: AclKind, owner: RoleId, public: Rights) -> Vec<AclItem> {
    let mut items = Vec::new();
    if kind != AclKind::Column {
        items.push(AclItem { grantee: owner, grantor: owner, rights: kind.all(), grantable: Rights::NONE });
    }
    if !public.is_empty() {
        let nothing = Rights::NONE;
        items.push(AclItem { grantee: EVERYBODY, grantor: owner, rights: public, grantable: nothing });
    }
    if kind == AclKind::Database {
        // The order in which PostgreSQL shows them.
        items.reverse();
    }
    items
}

/// GRANT: adds `rights` (and the option to pass them on) from `grantor` to `grantee`.
pub fn grant(items: &mut Vec<AclItem>, grantee: RoleId, grantor: RoleId, rights: Rights, option: bool) {
    let grantable = if option { rights } else { Rights::NONE };
    match items.iter_mut().find(|item| item.grantee == grantee && item.grantor == grantor) {
        Some(item) => {
            item.rights = item.rights.or(rights);
            item.grantable = item.grantable.or(grantable);
        }
        None => items.push(AclItem { grantee, grantor, rights, grantable }),
    }
}

/// Somebody has passed on what is to be revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dependent;

/// A grant option would come back to who it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Circular;

/// What `role` itself, without its groups, may pass on: an owner everything.
pub fn grantable(items: &[AclItem], role: RoleId, owner: RoleId, kind: AclKind) -> Rights {
    if role == owner {
        return kind.all();
    }
    let own = items.iter().filter(|item| item.grantee == role);
    own.fold(Rights::NONE, |rights, item| rights.or(item.grantable))
}

/// As [`grant`], unless the grantor would hold its own options by way of the grantee only.
pub fn grant_checked(
    items: &mut Vec<AclItem>,
    grantee: RoleId,
    grantor: RoleId,
    rights: Rights,
    option: bool,
    owner: RoleId,
) -> Result<(), Circular> {
    if rights.is_empty() {
        return Ok(());
    }
    if option && grantor != owner && grantee != owner {
        // What would the grantor still hold if the grantee passed nothing on?
        let mut without = items.clone();
        let givers: Vec<AclItem> = without.iter().filter(|item| item.grantee == grantee).copied().collect();
        for item in givers {
            // Never refused, as it cascades.
            let _ = revoke(&mut without, grantee, item.grantor, item.grantable, true, true, owner);
        }
        if !grantable(&without, grantor, owner, AclKind::Table).has_all(rights) {
            return Err(Circular);
        }
    }
    grant(items, grantee, grantor, rights, option);
    Ok(())
}

/// REVOKE, or with `option_only` GRANT OPTION FOR. What the grantee has passed on goes too when `cascade`, and
/// is the reason for refusing otherwise (what `items` are then makes no sense any more).
pub fn revoke(
    items: &mut Vec<AclItem>,
    grantee: RoleId,
    grantor: RoleId,
    rights: Rights,
    option_only: bool,
    cascade: bool,
    owner: RoleId,
) -> Result<(), Dependent> {
    let Some(item) = items.iter_mut().find(|item| item.grantee == grantee && item.grantor == grantor) else {
        return Ok(());
    };
    let lost = item.grantable.and(rights);
    item.grantable = item.grantable.without(rights);
    if !option_only {
        item.rights = item.rights.without(rights);
    }
    items.retain(|item| !item.rights.is_empty());
    if lost.is_empty() || grantee == owner {
        return Ok(());
    }
    // Somebody else may have given the same option.
    let still = items
        .iter()
        .filter(|item| item.grantee == grantee)
        .fold(Rights::NONE, |still, item| still.or(item.grantable));
    let lost = lost.without(still);
    let passed_on: Vec<AclItem> =
        items.iter().filter(|item| item.grantor == grantee && item.rights.has_any(lost)).copied().collect();
    if !passed_on.is_empty() && !cascade {
        return Err(Dependent);
    }
    passed_on.iter().try_for_each(|item| revoke(items, item.grantee, grantee, lost, false, true, owner))
}

/// ALTER … OWNER: the old owner's place among grantees and grantors is the new one's.
pub fn change_owner(items: &[AclItem], old: RoleId, new: RoleId) -> Vec<AclItem> {
    let moved = |role: RoleId| if role == old { new } else { role };
    let mut out: Vec<AclItem> = Vec::with_capacity(items.len());
    for item in items {
        let item = AclItem { grantee: moved(item.grantee), grantor: moved(item.grantor), ..*item };
        match out.iter_mut().find(|known| known.grantee == item.grantee && known.grantor == item.grantor) {
            Some(known) => {
                known.rights = known.rights.or(item.rights);
                known.grantable = known.grantable.or(item.grantable);
            }
            None => out.push(item),
        }
    }
    out
}

/// The same rights, in whatever order.
pub fn same(a: &[AclItem], b: &[AclItem]) -> bool {
    a.len() == b.len() && a.iter().all(|item| b.contains(item))
}

/// The text of an item. `name` gives a role's name.
pub fn item_text(item: &AclItem, name: impl Fn(RoleId) -> String) -> String {
    let mut text = match item.grantee {
        EVERYBODY => String::new(),
        role => quoted(&name(role)),
    };
    text.push('=');
    for (right, letter, _) in EACH {
        if item.rights.has_any(*right) {
            text.push(*letter);
            if item.grantable.has_any(*right) {
                text.push('*');
            }
        }
    }
    text.push('/');
    text.push_str(&quoted(&name(item.grantor)));
    text
}

/// As `aclitem` writes names: quoted unless letters, digits and underscores only.
fn quoted(name: &str) -> String {
    match name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        true => name.to_string(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: RoleId = RoleId(10);
    const ANN: RoleId = RoleId(20);
    const BOB: RoleId = RoleId(30);

    fn text(items: &[AclItem]) -> String {
        let name = |role: RoleId| match role {
            OWNER => "postgres".to_string(),
            ANN => "ann".to_string(),
            _ => "Bob B".to_string(),
        };
        items.iter().map(|item| item_text(item, name)).collect::<Vec<_>>().join(",")
    }

    #[test]
    fn items_print_as_in_postgresql() {
        let mut items = default_items(AclKind::Database, OWNER, Rights::TEMPORARY.or(Rights::CONNECT));
        assert_eq!(text(&items), "=Tc/postgres,postgres=CTc/postgres");
        items = default_items(AclKind::Table, OWNER, Rights::NONE);
        grant(&mut items, ANN, OWNER, Rights::SELECT.or(Rights::INSERT), false);
        grant(&mut items, ANN, OWNER, Rights::SELECT, true);
        grant(&mut items, BOB, ANN, Rights::SELECT, false);
        assert_eq!(text(&items), "postgres=arwdDxt/postgres,ann=ar*/postgres,\"Bob B\"=r/ann");
    }

    #[test]
    fn options_do_not_come_back() {
        let mut items = default_items(AclKind::Table, OWNER, Rights::NONE);
        grant(&mut items, ANN, OWNER, Rights::SELECT, true);
        grant(&mut items, BOB, ANN, Rights::SELECT, true);
        assert_eq!(grant_checked(&mut items, ANN, BOB, Rights::SELECT, true, OWNER), Err(Circular));
        assert_eq!(grant_checked(&mut items, ANN, BOB, Rights::SELECT, false, OWNER), Ok(()));
    }

    #[test]
    fn a_new_owner_takes_the_old_ones_place() {
        let mut items = default_items(AclKind::Table, OWNER, Rights::NONE);
        grant(&mut items, ANN, OWNER, Rights::SELECT, false);
        assert_eq!(text(&change_owner(&items, OWNER, ANN)), "ann=arwdDxt/ann");
    }

    #[test]
    fn what_was_passed_on_needs_cascade() {
        let mut items = default_items(AclKind::Table, OWNER, Rights::NONE);
        grant(&mut items, ANN, OWNER, Rights::SELECT, true);
        grant(&mut items, BOB, ANN, Rights::SELECT, false);
        let mut kept = items.clone();
        assert_eq!(revoke(&mut kept, ANN, OWNER, Rights::SELECT, false, false, OWNER), Err(Dependent));
        let mut option = items.clone();
        assert_eq!(revoke(&mut option, ANN, OWNER, Rights::SELECT, true, true, OWNER), Ok(()));
        assert_eq!(text(&option), "postgres=arwdDxt/postgres,ann=r/postgres");
        assert_eq!(revoke(&mut items, ANN, OWNER, Rights::SELECT, false, true, OWNER), Ok(()));
        assert_eq!(text(&items), "postgres=arwdDxt/postgres");
    }
}
