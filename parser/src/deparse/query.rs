//! Queries and changes of data as text, at PostgreSQL's columns.
//!
//! Called by `deparse.rs`. The numbers given to [`Printer::keyword`] are those of ruleutils.c.

use super::name::type_name;
use super::{JOIN, Printer, STANDARD};
use crate::ast::*;

impl Printer {
    /// SELECT, INSERT, UPDATE, DELETE; false for anything else.
    pub(super) fn node(&mut self, node: &Node) -> bool {
        match node {
            Node::Select(select) => self.query(select),
            Node::Insert(insert) => self.insert(insert),
            Node::Update(update) => self.update(update),
            Node::Delete(delete) => self.delete(delete),
            _ => return false,
        }
        true
    }

    pub(super) fn query(&mut self, query: &SelectStmt) {
        let level = self.level;
        self.with(query.with.as_deref());
        match &query.body {
            SelectBody::Select(core) => self.core(core),
            SelectBody::Values(rows) => {
                self.begin("VALUES ");
                self.list(rows, |p, row| {
                    p.push("(");
                    p.exprs(row);
                    p.push(")");
                });
            }
            SelectBody::SetOp(set) => self.set_operation(set),
        }
        if !query.order_by.is_empty() {
            self.keyword(" ORDER BY ", -STANDARD, STANDARD, 1);
            self.sort_list(&query.order_by);
        }
        if let Some(offset) = &query.offset {
            self.keyword(" OFFSET ", -STANDARD, STANDARD, 0);
            self.expr(offset);
        }
        if let Some(limit) = &query.limit {
            if query.with_ties {
                self.keyword(" FETCH FIRST ", -STANDARD, STANDARD, 0);
                self.push("(");
                self.expr(limit);
                self.push(") ROWS WITH TIES");
            } else {
                self.keyword(" LIMIT ", -STANDARD, STANDARD, 0);
                self.expr(limit);
            }
        }
        for lock in &query.locking {
            self.locking(lock);
        }
        self.level = level;
    }

    /// The first word of a query: after a blank, and what follows hangs from it.
    fn begin(&mut self, word: &str) {
        if self.lines {
            self.level += STANDARD;
            self.push(" ");
        }
        self.push(word);
    }

    fn locking(&mut self, lock: &LockingClause) {
        let word = match lock.strength {
            LockStrength::Update => " FOR UPDATE",
            LockStrength::NoKeyUpdate => " FOR NO KEY UPDATE",
            LockStrength::Share => " FOR SHARE",
            LockStrength::KeyShare => " FOR KEY SHARE",
        };
        self.keyword(word, -STANDARD, STANDARD, 0);
        if !lock.tables.is_empty() {
            self.push(" OF ");
            self.list(&lock.tables, |p, table| p.relation(table));
        }
        self.push(match lock.wait {
            LockWait::Wait => "",
            LockWait::NoWait => " NOWAIT",
            LockWait::SkipLocked => " SKIP LOCKED",
        });
    }

    fn with(&mut self, with: Option<&WithClause>) {
        let Some(with) = with else { return };
        if self.lines {
            self.level += STANDARD;
            self.push(" ");
        }
        self.push(if with.recursive { "WITH RECURSIVE " } else { "WITH " });
        self.list(&with.ctes, |p, cte| {
            p.name(&cte.name);
            p.opt_columns(&cte.columns);
            p.push(match cte.materialized {
                None => " AS (",
                Some(true) => " AS MATERIALIZED (",
                Some(false) => " AS NOT MATERIALIZED (",
            });
            if p.lines {
                p.keyword("", 0, 0, 0);
            }
            p.node(&cte.query);
            if p.lines {
                p.keyword("", 0, 0, 0);
            }
            p.push(")");
            if let Some(search) = &cte.search {
                p.push(if search.breadth_first {
                    " SEARCH BREADTH FIRST BY "
                } else {
                    " SEARCH DEPTH FIRST BY "
                });
                p.list(&search.columns, |p, column| p.name(column));
                p.push(" SET ");
                p.name(&search.sequence_column);
            }
            if let Some(cycle) = &cte.cycle {
                p.push(" CYCLE ");
                p.list(&cycle.columns, |p, column| p.name(column));
                p.push(" SET ");
                p.name(&cycle.mark_column);
                if let (Some(value), Some(default)) = (&cycle.mark_value, &cycle.mark_default) {
                    p.push(" TO ");
                    p.expr(value);
                    p.push(" DEFAULT ");
                    p.expr(default);
                }
                p.push(" USING ");
                p.name(&cycle.path_column);
            }
        });
        if self.lines {
            self.level -= STANDARD;
            self.keyword("", 0, 0, 0);
        } else {
            self.push(" ");
        }
    }

    fn core(&mut self, core: &SelectCore) {
        self.begin("SELECT");
        match &core.distinct {
            None => {}
            Some(Distinct::All) => self.push(" DISTINCT"),
            Some(Distinct::On(exprs)) => {
                self.push(" DISTINCT ON (");
                self.exprs(exprs);
                self.push(")");
            }
        }
        if !core.targets.is_empty() {
            self.push(" ");
            self.lined_list(&core.targets, Self::target);
        }
        self.from(" FROM ", &core.from);
        if let Some(where_) = &core.where_ {
            self.keyword(" WHERE ", -STANDARD, STANDARD, 1);
            self.expr(where_);
        }
        if !core.group_by.is_empty() {
            self.keyword(" GROUP BY ", -STANDARD, STANDARD, 1);
            if core.group_distinct {
                self.push("DISTINCT ");
            }
            self.list(&core.group_by, Self::grouping_element);
        }
        if let Some(having) = &core.having {
            self.keyword(" HAVING ", -STANDARD, STANDARD, 0);
            self.expr(having);
        }
        if !core.windows.is_empty() {
            self.keyword(" WINDOW ", -STANDARD, STANDARD, 1);
            self.list(&core.windows, |p, window| {
                if let Some(name) = &window.name {
                    p.name(name);
                }
                p.push(" AS ");
                p.window(window);
            });
        }
    }

    fn target(&mut self, target: &ResTarget) {
        self.expr(&target.expr);
        if let Some(name) = &target.name {
            self.push(" AS ");
            self.name(name);
        }
    }

    fn grouping_element(&mut self, element: &GroupingElement) {
        match element {
            GroupingElement::Expr(expr) => self.expr(expr),
            GroupingElement::Empty(_) => self.push("()"),
            GroupingElement::Rollup(exprs, _) => {
                self.push("ROLLUP(");
                self.exprs(exprs);
                self.push(")");
            }
            GroupingElement::Cube(exprs, _) => {
                self.push("CUBE(");
                self.exprs(exprs);
                self.push(")");
            }
            GroupingElement::GroupingSets(sets, _) => {
                self.push("GROUPING SETS (");
                self.list(sets, Self::grouping_element);
                self.push(")");
            }
        }
    }

    fn set_operation(&mut self, set: &SetOperation) {
        self.set_operand(&set.first, set.arms.first().map_or(SetOperator::Union, |arm| arm.op));
        for arm in &set.arms {
            self.keyword("", 0, 0, 0);
            self.push(match arm.op {
                SetOperator::Union => "UNION",
                SetOperator::Intersect => "INTERSECT",
                SetOperator::Except => "EXCEPT",
            });
            if arm.all {
                self.push(" ALL");
            }
            self.keyword("", 0, 0, 0);
            self.set_operand(&arm.query, arm.op);
        }
        // ORDER BY and LIMIT behind hang as they do behind a simple SELECT.
        self.level += STANDARD;
    }

    fn set_operand(&mut self, query: &SelectStmt, _op: SetOperator) {
        let level = self.level;
        let simple = !matches!(query.body, SelectBody::SetOp(_))
            && query.with.is_none()
            && query.order_by.is_empty()
            && query.limit.is_none()
            && query.offset.is_none()
            && query.locking.is_empty();
        if !simple {
            self.push("(");
            if self.lines {
                self.keyword("", STANDARD, 0, 0);
            }
        }
        self.query(query);
        if !simple {
            self.push(")");
        }
        self.level = level;
    }

    pub(super) fn sort_list(&mut self, sort: &[SortBy]) {
        self.list(sort, |p, sort| {
            p.expr(&sort.expr);
            match &sort.direction {
                SortDirection::Default => {}
                SortDirection::Asc => p.push(" ASC"),
                SortDirection::Desc => p.push(" DESC"),
                SortDirection::Using(operator) => {
                    p.push(" USING ");
                    p.operator(operator);
                }
            }
            p.push(match sort.nulls {
                NullsOrder::Default => "",
                NullsOrder::First => " NULLS FIRST",
                NullsOrder::Last => " NULLS LAST",
            });
        });
    }

    pub(super) fn window(&mut self, window: &WindowDef) {
        self.push("(");
        let mut blank = "";
        if let Some(base) = &window.base {
            self.name(base);
            blank = " ";
        }
        if !window.partition_by.is_empty() {
            self.push(blank);
            self.push("PARTITION BY ");
            self.exprs(&window.partition_by);
            blank = " ";
        }
        if !window.order_by.is_empty() {
            self.push(blank);
            self.push("ORDER BY ");
            self.sort_list(&window.order_by);
            blank = " ";
        }
        if let Some(frame) = &window.frame {
            self.push(blank);
            self.push(match frame.units {
                FrameUnits::Range => "RANGE BETWEEN ",
                FrameUnits::Rows => "ROWS BETWEEN ",
                FrameUnits::Groups => "GROUPS BETWEEN ",
            });
            self.frame_bound(&frame.start);
            self.push(" AND ");
            self.frame_bound(&frame.end);
            self.push(match frame.exclusion {
                FrameExclusion::NoOthers => "",
                FrameExclusion::CurrentRow => " EXCLUDE CURRENT ROW",
                FrameExclusion::Group => " EXCLUDE GROUP",
                FrameExclusion::Ties => " EXCLUDE TIES",
            });
        }
        self.push(")");
    }

    fn frame_bound(&mut self, bound: &FrameBound) {
        match bound {
            FrameBound::UnboundedPreceding => self.push("UNBOUNDED PRECEDING"),
            FrameBound::CurrentRow => self.push("CURRENT ROW"),
            FrameBound::UnboundedFollowing => self.push("UNBOUNDED FOLLOWING"),
            FrameBound::Preceding(offset) => {
                self.expr(offset);
                self.push(" PRECEDING");
            }
            FrameBound::Following(offset) => {
                self.expr(offset);
                self.push(" FOLLOWING");
            }
        }
    }

    // ---- FROM ---------------------------------------------------------------------------------

    fn from(&mut self, word: &str, tables: &[TableRef]) {
        if !tables.is_empty() {
            self.keyword(word, -STANDARD, STANDARD, 2);
            self.lined_list(tables, Self::table);
        }
    }

    fn table(&mut self, table: &TableRef) {
        match table {
            TableRef::Relation(relation) => self.relation(relation),
            TableRef::Subselect(subselect) => {
                if subselect.lateral {
                    self.push("LATERAL ");
                }
                self.push("(");
                self.query(&subselect.query);
                self.push(")");
                self.alias(subselect.alias.as_ref());
            }
            TableRef::Function(function) => self.table_function(function),
            TableRef::Join(join) => self.join(join),
            TableRef::Sample(sample) => {
                self.table(&sample.relation);
                self.push(" TABLESAMPLE ");
                self.names(&sample.method);
                self.push(" (");
                self.exprs(&sample.args);
                self.push(")");
                if let Some(seed) = &sample.repeatable {
                    self.push(" REPEATABLE (");
                    self.expr(seed);
                    self.push(")");
                }
            }
        }
    }

    pub(super) fn relation(&mut self, relation: &RangeVar) {
        if relation.only {
            self.push("ONLY ");
        }
        for part in [&relation.catalog, &relation.schema].into_iter().flatten() {
            self.name(part);
            self.push(".");
        }
        self.name(&relation.name);
        self.alias(relation.alias.as_ref());
    }

    fn alias(&mut self, alias: Option<&Alias>) {
        if let Some(alias) = alias {
            // PostgreSQL prints no AS here; with it the name may be any that an alias can be.
            self.push(" ");
            self.name(&alias.name);
            self.opt_columns(&alias.columns);
        }
    }

    fn table_function(&mut self, function: &RangeFunction) {
        if function.lateral {
            self.push("LATERAL ");
        }
        if function.rows_from {
            self.push("ROWS FROM(");
        }
        self.list(&function.functions, |p, item| {
            p.expr(&item.function);
            if !item.columns.is_empty() {
                p.push(" AS ");
                p.column_definitions(&item.columns);
            }
        });
        if function.rows_from {
            self.push(")");
        }
        if function.ordinality {
            self.push(" WITH ORDINALITY");
        }
        if !function.columns.is_empty() {
            self.push(" AS ");
            if let Some(alias) = &function.alias {
                self.name(&alias.name);
            }
            self.column_definitions(&function.columns);
        } else {
            self.alias(function.alias.as_ref());
        }
    }

    fn column_definitions(&mut self, columns: &[ColumnDefinition]) {
        self.push("(");
        self.list(columns, |p, column| {
            p.name(&column.name);
            p.push(" ");
            p.push(&type_name(&column.type_name));
            if let Some(collation) = &column.collation {
                p.push(" COLLATE ");
                p.names(collation);
            }
        });
        self.push(")");
    }

    fn join(&mut self, join: &JoinExpr) {
        self.push("(");
        self.table(&join.left);
        let natural = if join.condition == JoinCondition::Natural { " NATURAL" } else { "" };
        let word = match (join.kind, &join.condition) {
            (_, JoinCondition::None) => " CROSS JOIN ",
            (JoinType::Inner, _) => " JOIN ",
            (JoinType::Left, _) => " LEFT JOIN ",
            (JoinType::Right, _) => " RIGHT JOIN ",
            (JoinType::Full, _) => " FULL JOIN ",
        };
        self.keyword(&format!("{natural}{word}"), -STANDARD, STANDARD, JOIN);
        self.table(&join.right);
        match &join.condition {
            JoinCondition::None | JoinCondition::Natural => {}
            JoinCondition::On(condition) => {
                self.push(" ON (");
                self.expr(condition);
                self.push(")");
            }
            JoinCondition::Using { columns, alias } => {
                self.push(" USING ");
                self.opt_columns(columns);
                if let Some(alias) = alias {
                    self.push(" AS ");
                    self.name(alias);
                }
            }
        }
        self.push(")");
        self.alias(join.alias.as_ref());
    }

    // ---- changes of data ----------------------------------------------------------------------

    fn insert(&mut self, insert: &InsertStmt) {
        let level = self.level;
        self.with(insert.with.as_deref());
        self.begin("INSERT INTO ");
        let RangeVar { alias, .. } = &insert.relation;
        self.relation(&RangeVar { alias: None, ..insert.relation.clone() });
        if let Some(alias) = alias {
            self.push(" AS ");
            self.name(&alias.name);
        }
        if !insert.columns.is_empty() {
            self.push(" (");
            self.list(&insert.columns, Self::column_target);
            self.push(")");
        }
        self.push(match insert.overriding {
            Overriding::NotSet => "",
            Overriding::UserValue => " OVERRIDING USER VALUE",
            Overriding::SystemValue => " OVERRIDING SYSTEM VALUE",
        });
        self.push(" ");
        match &insert.source {
            None => self.push("DEFAULT VALUES"),
            Some(query) => self.query(query),
        }
        if let Some(conflict) = &insert.on_conflict {
            self.on_conflict(conflict);
        }
        self.returning(&insert.returning);
        self.level = level;
    }

    fn on_conflict(&mut self, conflict: &OnConflict) {
        self.push(" ON CONFLICT");
        match &conflict.target {
            ConflictTarget::None => {}
            ConflictTarget::Constraint(name) => {
                self.push(" ON CONSTRAINT ");
                self.name(name);
            }
            ConflictTarget::Index { elements, where_ } => {
                self.push(" (");
                self.list(elements, Self::index_elem);
                self.push(")");
                self.opt_where(where_.as_ref());
            }
        }
        match &conflict.update {
            None => self.push(" DO NOTHING"),
            Some(update) => {
                self.push(" DO UPDATE SET ");
                self.set_clauses(&update.set);
                self.opt_where(update.where_.as_ref());
            }
        }
    }

    fn index_elem(&mut self, element: &IndexElem) {
        match &element.key {
            IndexKey::Column(name) => self.name(name),
            IndexKey::Expr(expr) => {
                self.push("(");
                self.expr(expr);
                self.push(")");
            }
        }
        if let Some(collation) = &element.collation {
            self.push(" COLLATE ");
            self.names(collation);
        }
        if let Some(class) = &element.operator_class {
            self.push(" ");
            self.names(class);
        }
        self.push(match element.direction {
            SortDirection::Asc => " ASC",
            SortDirection::Desc => " DESC",
            _ => "",
        });
        self.push(match element.nulls {
            NullsOrder::Default => "",
            NullsOrder::First => " NULLS FIRST",
            NullsOrder::Last => " NULLS LAST",
        });
    }

    fn column_target(&mut self, target: &ColumnTarget) {
        self.name(&target.name);
        self.indirection(&target.path);
    }

    fn set_clauses(&mut self, set: &[SetClause]) {
        self.list(set, |p, clause| match clause {
            SetClause::Single { target, value } => {
                p.column_target(target);
                p.push(" = ");
                p.expr(value);
            }
            SetClause::Multiple { targets, value } => {
                p.push("(");
                p.list(targets, Self::column_target);
                p.push(") = ");
                p.expr(value);
            }
        });
    }

    fn opt_where(&mut self, where_: Option<&Expr>) {
        if let Some(where_) = where_ {
            self.keyword(" WHERE ", -STANDARD, STANDARD, 1);
            self.expr(where_);
        }
    }

    fn returning(&mut self, returning: &[ResTarget]) {
        if !returning.is_empty() {
            self.keyword(" RETURNING ", -STANDARD, STANDARD, 1);
            self.lined_list(returning, Self::target);
        }
    }

    fn update(&mut self, update: &UpdateStmt) {
        let level = self.level;
        self.with(update.with.as_deref());
        self.begin("UPDATE ");
        self.relation(&update.relation);
        self.push(" SET ");
        self.set_clauses(&update.set);
        self.from(" FROM ", &update.from);
        self.opt_where(update.where_.as_ref());
        self.returning(&update.returning);
        self.level = level;
    }

    fn delete(&mut self, delete: &DeleteStmt) {
        let level = self.level;
        self.with(delete.with.as_deref());
        self.begin("DELETE FROM ");
        self.relation(&delete.relation);
        self.from(" USING ", &delete.using);
        self.opt_where(delete.where_.as_ref());
        self.returning(&delete.returning);
        self.level = level;
    }
}
