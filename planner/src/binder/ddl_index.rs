//! CREATE INDEX: keys, condition, name.

use std::sync::Arc;

use catalog::{IndexColumn, TableDef};
use expr::Expr;
use parser::ast;
use types::{DataType, Error, Result, SqlState};

use super::Binder;
use super::ddl_table::{check_indexable, is_immutable, refuse_subquery, too_many_index_columns};
use super::object_name::{Taken, joined};
use super::scope::Clause;
use super::stored::as_inputs;
use crate::ddl::{CreateIndex, Ddl, NewIndex};

impl Binder<'_> {
    pub(super) fn create_index(
        &mut self,
        create: &ast::CreateIndexStmt,
        notices: &mut Vec<Error>,
    ) -> Result<Ddl> {
        let table = self.table_to_change(&create.relation, "create index on")?;
        match create.access_method.as_deref() {
            None | Some("btree") => {}
            Some(method @ ("hash" | "gin" | "gist" | "spgist" | "brin")) => {
                return Err(Error::not_supported(format!("access method \"{method}\""))
                    .with_hint("Use btree.")
                    .at(create.span));
            }
            Some(method) => {
                return Err(Error::new(
                    SqlState::UNDEFINED_OBJECT,
                    format!("access method \"{method}\" does not exist"),
                ));
            }
        }
        self.refuse_storage(None, create.tablespace.as_deref())?;
        super::storage_parameter::check(&create.options, true, false, notices)?;
        let inputs = as_inputs(&table);
        let mut columns = Vec::with_capacity(create.elements.len());
        let mut keys = Vec::with_capacity(create.elements.len());
        let mut names = Vec::new();
        for element in &create.elements {
            let (key, column, name) = self.index_element(&table, element, &inputs)?;
            keys.push(key);
            columns.push(column);
            names.push(name);
        }
        if columns.len() + create.include.len() > 32 {
            return Err(too_many_index_columns());
        }
        let mut include = Vec::with_capacity(create.include.len());
        for element in &create.include {
            let ast::IndexKey::Column(name) = &element.key else {
                return Err(Error::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    "expressions are not supported in included columns",
                ));
            };
            include.push(index_column(&table, name)?);
            names.push(name.clone());
        }
        let predicate = match &create.where_ {
            Some(condition) => {
                let bound = self.over_table(&table, &inputs, |binder| {
                    binder.condition(condition, Clause::IndexPredicate)
                })?;
                refuse_subquery(&bound, "index predicate", condition.start_span())?;
                if !is_immutable(&bound) {
                    return Err(Error::new(
                        SqlState::INVALID_OBJECT_DEFINITION,
                        "functions in index predicate must be marked IMMUTABLE",
                    ));
                }
                Some(bound)
            }
            None => None,
        };
        let name = match &create.name {
            Some(name) => {
                if self.is_taken(table.schema, name, create.if_not_exists, notices)? {
                    return Ok(Ddl::Nothing);
                }
                name.clone()
            }
            None => Taken::new(self.cx.catalog, table.schema, None).relation(
                &table.name,
                Some(&joined(&names)),
                "idx",
            ),
        };
        let index = NewIndex {
            name,
            columns,
            include,
            unique: create.unique,
            primary: false,
            nulls_not_distinct: create.nulls_not_distinct,
            predicate: predicate.as_ref().map(|predicate| self.print_over(predicate, &table.columns)),
            comment: None,
        };
        Ok(Ddl::CreateIndex(Box::new(CreateIndex {
            table,
            index,
            keys,
            predicate,
            concurrently: create.concurrently,
        })))
    }

    /// A key of CREATE INDEX: over the row, as it is kept, and what it adds to the index's name.
    fn index_element(
        &mut self,
        table: &Arc<TableDef>,
        element: &ast::IndexElem,
        inputs: &[(usize, Expr)],
    ) -> Result<(Expr, IndexColumn, String)> {
        let (key, column, expression, name) = match &element.key {
            ast::IndexKey::Column(name) => {
                let ordinal = index_column(table, name)?;
                let data_type = table.columns.get(ordinal).map_or(DataType::TEXT, |column| column.data_type);
                (Expr::input(ordinal, data_type), Some(ordinal), None, name.clone())
            }
            ast::IndexKey::Expr(expr) => {
                let span = expr.start_span();
                let bound = self.over_table(table, inputs, |binder| {
                    let bound = binder.clause_expr(expr, Clause::IndexExpression)?;
                    binder.coercer.settle(bound)
                })?;
                refuse_subquery(&bound, "index expression", span)?;
                if !is_immutable(&bound) {
                    return Err(Error::new(
                        SqlState::INVALID_OBJECT_DEFINITION,
                        "functions in index expression must be marked IMMUTABLE",
                    ));
                }
                match &bound {
                    // A plain column in parentheses is a column.
                    Expr::Input { position, data_type } => {
                        let name =
                            table.columns.get(*position).map_or(String::new(), |column| column.name.clone());
                        (Expr::input(*position, *data_type), Some(*position), None, name)
                    }
                    _ => {
                        let text = self.print_over(&bound, &table.columns);
                        let name = match expr {
                            ast::Expr::FuncCall(call) => call.name.last().cloned(),
                            _ => None,
                        };
                        (bound, None, Some(text), name.unwrap_or_else(|| "expr".to_string()))
                    }
                }
            }
        };
        let data_type = key.data_type();
        if let Some(collation) = &element.collation {
            super::expr::check_collation(data_type, collation, element.span)?;
        }
        if let Some(class) = &element.operator_class {
            check_operator_class(data_type, class)?;
        }
        if let Some(option) = element.operator_class_options.first() {
            return Err(Error::not_supported("operator class options").at(option.span));
        }
        check_indexable(data_type)?;
        let descending = match &element.direction {
            ast::SortDirection::Default | ast::SortDirection::Asc => false,
            ast::SortDirection::Desc => true,
            ast::SortDirection::Using(_) => {
                return Err(Error::syntax("USING is not allowed in an index").at(element.span));
            }
        };
        let nulls_first = match element.nulls {
            ast::NullsOrder::Default => descending,
            ast::NullsOrder::First => true,
            ast::NullsOrder::Last => false,
        };
        Ok((key, IndexColumn { column, expression, data_type, descending, nulls_first }, name))
    }
}

/// A column of an index. 42703.
fn index_column(table: &TableDef, name: &str) -> Result<usize> {
    table.column_index(name).ok_or_else(|| Error::undefined_column(name))
}

/// Text compares by bytes, so that the pattern classes are the ordinary ones.
fn check_operator_class(data_type: DataType, class: &[String]) -> Result<()> {
    let name = class.last().map_or("", String::as_str);
    let own = format!("{}_ops", data_type.name());
    let text = [
        "text_ops",
        "varchar_ops",
        "bpchar_ops",
        "text_pattern_ops",
        "varchar_pattern_ops",
        "bpchar_pattern_ops",
    ];
    let is_text =
        matches!(data_type.without_modifier(), DataType::TEXT | DataType::VARCHAR | DataType::BPCHAR);
    if name == own || (is_text && text.contains(&name)) {
        return Ok(());
    }
    Err(Error::new(
        SqlState::UNDEFINED_OBJECT,
        format!("operator class \"{name}\" does not exist for access method \"btree\""),
    ))
}
