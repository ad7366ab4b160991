//! CREATE and ALTER SEQUENCE, and the options that serial and identity columns share with them.

use catalog::{Relation, SequenceDef};
use parser::ast;
use types::{DataType, Error, Result, SqlState};

use super::Binder;
use super::ddl::{invalid_parameter, skipping};
use crate::ddl::{AlterSequence, CreateSequence, Ddl, NewSequence};

impl Binder<'_> {
    pub(super) fn create_sequence(
        &mut self,
        create: &ast::CreateSequenceStmt,
        notices: &mut Vec<Error>,
    ) -> Result<Ddl> {
        self.refuse_persistence(create.persistence, create.relation.span)?;
        let schema = self.creation_schema(&create.relation)?;
        let name = &create.relation.name;
        if self.is_taken(schema, name, create.if_not_exists, notices)? {
            return Ok(Ddl::Nothing);
        }
        let sequence = self.new_sequence(schema, name.clone(), DataType::INT8, &create.options)?;
        let owned_by = self.owned_by(&create.options)?.flatten();
        Ok(Ddl::CreateSequence(Box::new(CreateSequence {
            owner: self.cx.role,
            persistence: catalog::Persistence::Permanent,
            sequence,
            owned_by,
        })))
    }

    /// A sequence with these options. 22023 when they do not fit together.
    pub(super) fn new_sequence(
        &self,
        schema: catalog::SchemaId,
        name: String,
        data_type: DataType,
        options: &[ast::SequenceOption],
    ) -> Result<NewSequence> {
        let plain = SequenceDef {
            id: catalog::RelationId(0),
            schema,
            name,
            owner: self.cx.role,
            data_type,
            start: 0,
            increment: 1,
            min: 0,
            max: 0,
            cache: 1,
            cycle: false,
            owned_by: None,
            comment: None,
        };
        let (sequence, restart) = self.sequence_options(plain, options, true)?;
        if restart.is_some() {
            return Err(Error::syntax("unrecognized sequence option \"restart\""));
        }
        Ok(NewSequence {
            schema: sequence.schema,
            name: sequence.name,
            data_type: sequence.data_type,
            start: sequence.start,
            increment: sequence.increment,
            min: sequence.min,
            max: sequence.max,
            cache: sequence.cache,
            cycle: sequence.cycle,
        })
    }

    /// Applies options to a sequence; for a new one what is not said gets its default.
    pub(super) fn sequence_options(
        &self,
        mut sequence: SequenceDef,
        options: &[ast::SequenceOption],
        new: bool,
    ) -> Result<(SequenceDef, Option<i64>)> {
        use ast::SequenceOptionKind as Kind;
        let (mut start, mut min, mut max, mut restart) = (None, None, None, None);
        let mut seen: Vec<std::mem::Discriminant<Kind>> = Vec::new();
        for option in options {
            let kind = std::mem::discriminant(&option.kind);
            if seen.contains(&kind) {
                return Err(Error::syntax("conflicting or redundant options").at(option.span));
            }
            seen.push(kind);
            match &option.kind {
                Kind::As(name) => {
                    let data_type = self.data_type(name)?;
                    if !matches!(data_type, DataType::INT2 | DataType::INT4 | DataType::INT8) {
                        return Err(invalid_parameter("sequence type must be smallint, integer, or bigint"));
                    }
                    sequence.data_type = data_type;
                }
                Kind::Cache(cache) if *cache < 1 => {
                    return Err(invalid_parameter(format!("CACHE ({cache}) must be greater than zero")));
                }
                Kind::Cache(cache) => sequence.cache = *cache,
                Kind::Cycle(cycle) => sequence.cycle = *cycle,
                Kind::Increment(0) => return Err(invalid_parameter("INCREMENT must not be zero")),
                Kind::Increment(increment) => sequence.increment = *increment,
                Kind::MaxValue(value) => max = Some(*value),
                Kind::MinValue(value) => min = Some(*value),
                Kind::Start(value) => start = Some(*value),
                Kind::Restart(value) => restart = Some(*value),
                Kind::OwnedBy(_) | Kind::SequenceName(_) => {}
            }
        }
        let (lowest, highest) = match sequence.data_type {
            DataType::INT2 => (i64::from(i16::MIN), i64::from(i16::MAX)),
            DataType::INT4 => (i64::from(i32::MIN), i64::from(i32::MAX)),
            _ => (i64::MIN, i64::MAX),
        };
        let ascending = sequence.increment > 0;
        match max {
            Some(Some(value)) => sequence.max = value,
            Some(None) => sequence.max = if ascending { highest } else { -1 },
            None if new => sequence.max = if ascending { highest } else { -1 },
            None => {}
        }
        match min {
            Some(Some(value)) => sequence.min = value,
            Some(None) => sequence.min = if ascending { 1 } else { lowest },
            None if new => sequence.min = if ascending { 1 } else { lowest },
            None => {}
        }
        let type_name = sequence.data_type;
        if sequence.max > highest || sequence.max < lowest {
            return Err(invalid_parameter(format!(
                "MAXVALUE ({}) is out of range for sequence data type {type_name}",
                sequence.max
            )));
        }
        if sequence.min > highest || sequence.min < lowest {
            return Err(invalid_parameter(format!(
                "MINVALUE ({}) is out of range for sequence data type {type_name}",
                sequence.min
            )));
        }
        if sequence.min >= sequence.max {
            return Err(invalid_parameter(format!(
                "MINVALUE ({}) must be less than MAXVALUE ({})",
                sequence.min, sequence.max
            )));
        }
        match start {
            Some(value) => sequence.start = value,
            None if new => sequence.start = if ascending { sequence.min } else { sequence.max },
            None => {}
        }
        if sequence.start < sequence.min {
            return Err(invalid_parameter(format!(
                "START value ({}) cannot be less than MINVALUE ({})",
                sequence.start, sequence.min
            )));
        }
        if sequence.start > sequence.max {
            return Err(invalid_parameter(format!(
                "START value ({}) cannot be greater than MAXVALUE ({})",
                sequence.start, sequence.max
            )));
        }
        let restart = restart.map(|value| value.unwrap_or(sequence.start));
        if let Some(value) = restart {
            if value < sequence.min {
                return Err(invalid_parameter(format!(
                    "RESTART value ({value}) cannot be less than MINVALUE ({})",
                    sequence.min
                )));
            }
            if value > sequence.max {
                return Err(invalid_parameter(format!(
                    "RESTART value ({value}) cannot be greater than MAXVALUE ({})",
                    sequence.max
                )));
            }
        }
        Ok((sequence, restart))
    }

    /// OWNED BY: `None` when it was not said, `Some(None)` for NONE.
    fn owned_by(
        &self,
        options: &[ast::SequenceOption],
    ) -> Result<Option<Option<(catalog::RelationId, i16)>>> {
        let Some((parts, span)) = options.iter().find_map(|option| match &option.kind {
            ast::SequenceOptionKind::OwnedBy(parts) => Some((parts, option.span)),
            _ => None,
        }) else {
            return Ok(None);
        };
        let (schema, table, column) = match parts.as_slice() {
            [none] if none == "none" => return Ok(Some(None)),
            [table, column] => (None, table, column),
            [schema, table, column] => (Some(schema.as_str()), table, column),
            _ => {
                return Err(Error::syntax("invalid OWNED BY option")
                    .with_hint("Specify OWNED BY table.column or OWNED BY NONE.")
                    .at(span));
            }
        };
        let range = ast::RangeVar {
            catalog: None,
            schema: schema.map(str::to_string),
            name: table.clone(),
            only: false,
            alias: None,
            span,
        };
        let table = self.table_to_change(&range, "own a sequence by")?;
        let ordinal = table.column_index(column).ok_or_else(|| {
            Error::new(
                SqlState::UNDEFINED_COLUMN,
                format!("column \"{column}\" of relation \"{}\" does not exist", table.name),
            )
        })?;
        let number = table.columns.get(ordinal).map_or(0, |column| column.number);
        Ok(Some(Some((table.id, number))))
    }

    pub(super) fn alter_sequence(
        &mut self,
        alter: &ast::AlterSequenceStmt,
        notices: &mut Vec<Error>,
    ) -> Result<Ddl> {
        let relation = match self.find_relation(&alter.relation) {
            Ok(relation) => relation,
            Err(_) if alter.missing_ok => {
                notices
                    .push(skipping(format!("relation \"{}\" does not exist, skipping", alter.relation.name)));
                return Ok(Ddl::Nothing);
            }
            Err(error) => return Err(error.without_span()),
        };
        self.check_owner(&relation)?;
        let Relation::Sequence(sequence) = relation else {
            return Err(Error::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("\"{}\" is not a sequence", relation.name()),
            ));
        };
        let (mut altered, restart) = self.sequence_options((*sequence).clone(), &alter.options, false)?;
        if let Some(owned_by) = self.owned_by(&alter.options)? {
            altered.owned_by = owned_by;
        }
        Ok(Ddl::AlterSequence(Box::new(AlterSequence { sequence: altered, restart })))
    }
}
