//! COPY FROM STDIN and TO STDOUT, in text and csv; `copy_binary.rs` has the binary format.
//!
//! Fields go from the client's bytes straight into vectors, and from vectors to bytes; the executor's
//! `CopyIn` stores whole batches. Source: PostgreSQL 15, COPY, "File Formats".

use std::sync::Arc;

use catalog::{ColumnDef, Relation};
use executor::{CopyIn, Environment, ExecContext};
use memchr::{memchr, memchr2};
use parser::ast::{CopySource, CopyStmt, CopyTarget, DefElem, DefValue, RangeVar};
use planner::CopyFrom;
use planner::physical::plan::{Op, PhysicalPlan};
use storage::{TableLock, Transaction};
use types::text::{TextContext, push_text, write_vector_text};
use types::{BATCH_SIZE, Batch, DataType, Error, Result, Span, SqlState, Vector, VectorBuilder};

use crate::session::copy_binary::{self, BinaryReader};
use crate::session::statement::ParsedStatement;
use crate::session::{Client, Format, Session, settings};

/// How the bytes are laid out.
#[derive(Debug, Clone, PartialEq)]
struct Layout {
    binary: bool,
    csv: bool,
    delimiter: u8,
    null: Vec<u8>,
    header: Header,
    quote: u8,
    escape: u8,
    /// csv output: quote every value of these columns.
    force_quote: Columns,
    /// csv input: an unquoted null string is text in these.
    force_not_null: Columns,
    /// csv input: a quoted null string is NULL in these.
    force_null: Columns,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Header {
    None,
    Present,
    Match,
}

#[derive(Debug, Clone, PartialEq)]
enum Columns {
    Some(Vec<String>),
    All,
}

impl Columns {
    fn contains(&self, name: &str) -> bool {
        match self {
            Columns::All => true,
            Columns::Some(names) => names.iter().any(|other| other == name),
        }
    }

    fn is_empty(&self) -> bool {
        *self == Columns::Some(Vec::new())
    }
}

fn option_error(message: impl Into<String>, span: Span) -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, message).at(span)
}

impl Layout {
    /// Reads COPY's options. 42601 for what is no option, 22023 for a bad value, 0A000 for what we do not have.
    fn read(options: &[DefElem], is_from: bool) -> Result<Layout> {
        let format = options.iter().find(|option| option.name == "format");
        let (binary, csv) = match format.map(|option| (text_of(option), option.span)) {
            None => (false, options.iter().any(|option| option.name == "csv")),
            Some((Some(word), span)) => match word.as_str() {
                "text" => (false, false),
                "csv" => (false, true),
                "binary" => (true, false),
                _ => return Err(option_error(format!("COPY format \"{word}\" not recognized"), span)),
            },
            Some((None, span)) => return Err(Error::syntax("format requires a parameter").at(span)),
        };
        let mut layout = Layout {
            binary,
            csv,
            delimiter: if csv { b',' } else { b'\t' },
            null: if csv { Vec::new() } else { b"\\N".to_vec() },
            header: Header::None,
            quote: b'"',
            escape: b'"',
            force_quote: Columns::Some(Vec::new()),
            force_not_null: Columns::Some(Vec::new()),
            force_null: Columns::Some(Vec::new()),
        };
        let mut escape = None;
        for option in options {
            let span = option.span;
            let one_byte = |what: &str| match text_of(option).as_deref().map(str::as_bytes) {
                Some(&[byte]) => Ok(byte),
                _ => {
                    Err(Error::not_supported(format!("a COPY {what} other than a single one-byte character"))
                        .at(span))
                }
            };
            match option.name.as_str() {
                "format" | "csv" => {}
                "delimiter" => layout.delimiter = one_byte("delimiter")?,
                "null" => layout.null = text_of(option).unwrap_or_default().into_bytes(),
                "header" => layout.header = header_of(option, is_from)?,
                "quote" => layout.quote = one_byte("quote")?,
                "escape" => escape = Some(one_byte("escape")?),
                "force_quote" => layout.force_quote = columns_of(option)?,
                "force_not_null" => layout.force_not_null = columns_of(option)?,
                "force_null" => layout.force_null = columns_of(option)?,
                "encoding" => {
                    let name = text_of(option).unwrap_or_default();
                    if !["utf8", "utf-8", "unicode"].contains(&name.to_ascii_lowercase().as_str()) {
                        return Err(Error::not_supported(format!("COPY encoding \"{name}\""))
                            .with_hint("Convert the data to UTF8.")
                            .at(span));
                    }
                }
                // Rows are never frozen later: there is nothing that it could save.
                "freeze" => {
                    let word = text_of(option);
                    let is_boolean =
                        word.map_or(option.value.is_none(), |word| settings::parse_bool(&word).is_some());
                    if !is_boolean {
                        return Err(Error::syntax("freeze requires a Boolean value").at(span));
                    }
                }
                "binary" | "oids" | "on_error" | "log_verbosity" | "default" => {
                    return Err(Error::not_supported(format!("COPY option \"{}\"", option.name)).at(span));
                }
                name => return Err(Error::syntax(format!("option \"{name}\" not recognized")).at(span)),
            }
        }
        layout.escape = escape.unwrap_or(layout.quote);
        layout.validate(options, is_from)?;
        Ok(layout)
    }

    fn format(&self) -> Format {
        if self.binary { Format::Binary } else { Format::Text }
    }

    fn validate(&self, options: &[DefElem], is_from: bool) -> Result<()> {
        let span = options.first().map(|option| option.span).unwrap_or_default();
        let given = |name: &str| options.iter().any(|option| option.name == name);
        if self.binary {
            for name in ["delimiter", "null", "header"] {
                if given(name) {
                    let name = name.to_ascii_uppercase();
                    return Err(Error::syntax(format!("cannot specify {name} in BINARY mode")).at(span));
                }
            }
        }
        if !self.csv {
            for name in ["quote", "escape", "force_quote", "force_not_null", "force_null"] {
                if given(name) {
                    return Err(Error::not_supported(format!("COPY {name} outside CSV mode"))
                        .with_hint("Add FORMAT csv.")
                        .at(span));
                }
            }
            if b"\\.abcdefghijklmnopqrstuvwxyz0123456789".contains(&self.delimiter) {
                return Err(option_error(
                    format!("COPY delimiter cannot be \"{}\"", char::from(self.delimiter)),
                    span,
                ));
            }
        }
        if matches!(self.delimiter, b'\n' | b'\r') {
            return Err(option_error("COPY delimiter cannot be newline or carriage return", span));
        }
        if self.null.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
            return Err(option_error("COPY null representation cannot use newline or carriage return", span));
        }
        if self.null.contains(&self.delimiter) {
            return Err(option_error(
                "COPY delimiter character must not appear in the NULL specification",
                span,
            ));
        }
        if self.csv && self.delimiter == self.quote {
            return Err(option_error("COPY delimiter and quote must be different", span));
        }
        if self.csv && self.null.contains(&self.quote) {
            return Err(option_error("CSV quote character must not appear in the NULL specification", span));
        }
        let wrong_way = if is_from {
            (!self.force_quote.is_empty()).then_some("force quote")
        } else if !self.force_not_null.is_empty() {
            Some("force not null")
        } else {
            (!self.force_null.is_empty()).then_some("force null")
        };
        match wrong_way {
            Some(option) => Err(Error::syntax(format!(
                "COPY {option} only available using COPY {}",
                if is_from { "TO" } else { "FROM" }
            ))
            .at(span)),
            None => Ok(()),
        }
    }
}

fn text_of(option: &DefElem) -> Option<String> {
    match &option.value {
        Some(DefValue::String(text) | DefValue::Word(text) | DefValue::Numeric(text)) => Some(text.clone()),
        Some(DefValue::Integer(number)) => Some(number.to_string()),
        _ => None,
    }
}

fn header_of(option: &DefElem, is_from: bool) -> Result<Header> {
    let word = text_of(option);
    match word.as_deref() {
        None if option.value.is_none() => Ok(Header::Present),
        Some(word) if word.eq_ignore_ascii_case("match") && is_from => Ok(Header::Match),
        Some(word) => match settings::parse_bool(word) {
            Some(true) => Ok(Header::Present),
            Some(false) => Ok(Header::None),
            None => Err(Error::syntax("header requires a Boolean value or \"match\"").at(option.span)),
        },
        None => Err(Error::syntax("header requires a Boolean value or \"match\"").at(option.span)),
    }
}

fn columns_of(option: &DefElem) -> Result<Columns> {
    match &option.value {
        Some(DefValue::Star) => Ok(Columns::All),
        Some(DefValue::List(names)) => Ok(Columns::Some(names.clone())),
        Some(DefValue::Word(name) | DefValue::String(name)) => Ok(Columns::Some(vec![name.clone()])),
        _ => Err(option_error(
            format!("argument to option \"{}\" must be a list of column names", option.name),
            option.span,
        )),
    }
}

impl Session {
    /// COPY; returns its tag.
    pub(crate) fn copy(
        &mut self,
        copy: &CopyStmt,
        statement: &ParsedStatement,
        client: &mut dyn Client,
    ) -> Result<String> {
        match &copy.target {
            CopyTarget::Client => {}
            CopyTarget::File(_) => {
                return Err(Error::not_supported("COPY to or from a file of the server")
                    .with_hint("Use psql's \\copy, or COPY … FROM STDIN / TO STDOUT.")
                    .at(copy.span));
            }
            CopyTarget::Program(_) => {
                return Err(Error::not_supported("COPY to or from a program")
                    .with_hint("Pipe through psql's \\copy … FROM PROGRAM, which runs it on the client.")
                    .at(copy.span));
            }
        }
        let layout = Layout::read(&copy.options, copy.is_from)?;
        let rows = if copy.is_from {
            self.check_writable("COPY FROM")?;
            self.copy_from(copy, &layout, client)?
        } else {
            self.copy_to(copy, &layout, statement, client)?
        };
        Ok(format!("COPY {rows}"))
    }

    fn copy_from(&mut self, copy: &CopyStmt, layout: &Layout, client: &mut dyn Client) -> Result<u64> {
        let CopySource::Table { relation, columns } = &copy.source else {
            return Err(Error::syntax("COPY FROM takes a table").at(copy.span));
        };
        let transaction = self.current_transaction()?;
        transaction.start_statement();
        let planning = self.planning()?;
        let cx = planning.context("", &[]);
        let bound = planner::bind_copy_from(relation, columns, copy.where_.as_ref(), &cx)?;
        transaction.lock_table(u64::from(bound.table.id.0), TableLock::RowExclusive, true)?;
        if !Arc::ptr_eq(&self.catalog()?, planning.host.catalog()) {
            // Whoever was in the way has changed the schema: begin again.
            return self.copy_from(copy, layout, client);
        }
        transaction.start_statement();
        let plan = Arc::new(planner::optimize(bound.statement.clone(), &cx)?);
        let definitions: Vec<&ColumnDef> =
            bound.columns.iter().filter_map(|&index| bound.table.columns.get(index)).collect();
        let types: Vec<DataType> = definitions.iter().map(|column| column.data_type).collect();
        let headings: Vec<&str> = definitions.iter().map(|column| column.name.as_str()).collect();
        let environment = self.environment(&planning, Arc::from([]), false)?;
        let mut load = Load::new(&bound, &plan, environment)?;

        let mut reader: Box<dyn Fields + '_> = if layout.binary {
            Box::new(BinaryReader::new(&bound.table.name, &headings, &types))
        } else {
            Box::new(Reader::new(layout, &bound.table.name, &headings, &types, &planning.derived.text))
        };
        client.copy_in(types.len(), layout.format())?;
        let mut data = Vec::new();
        let mut more = true;
        while more {
            more = client.copy_in_data(&mut data)?;
            storage::wait::check_interrupt()?;
            let mut taken = 0;
            loop {
                let unread = data.get(taken..).unwrap_or_default();
                let (used, full) = reader.read(unread, !more)?;
                taken += used;
                if !full {
                    break;
                }
                load.push(&mut *reader)?;
                storage::wait::check_interrupt()?;
            }
            data.drain(..taken);
            if reader.has_ended() {
                // After the end marker nothing counts.
                data.clear();
            }
        }
        if reader.rows() > 0 {
            load.push(&mut *reader)?;
        }
        load.copy.finish()
    }

    /// 42809 for what is no table: a view's rows are copied by a query.
    fn check_copied_table(&self, relation: &RangeVar) -> Result<()> {
        let catalog = self.catalog()?;
        let path = catalog.search_schemas(&self.settings.derived().search_path, &self.current_role().name);
        match catalog.find_relation(relation.schema.as_deref(), &relation.name, &path)? {
            Some(Relation::Table(_) | Relation::Virtual(_)) => Ok(()),
            Some(other) => {
                let message = format!("cannot copy from {} \"{}\"", other.kind_name(), other.name());
                Err(Error::new(SqlState::WRONG_OBJECT_TYPE, message)
                    .with_hint("Try the COPY (SELECT ...) TO variant.")
                    .at(relation.span))
            }
            None => Err(Error::undefined_table(&relation.name).at(relation.span)),
        }
    }

    fn copy_to(
        &mut self,
        copy: &CopyStmt,
        layout: &Layout,
        statement: &ParsedStatement,
        client: &mut dyn Client,
    ) -> Result<u64> {
        let query = match &copy.source {
            CopySource::Query(node) => {
                let inner = parser::Statement { node: (**node).clone(), span: statement.statement.span };
                ParsedStatement::new(inner, &statement.query_text)
            }
            CopySource::Table { relation, columns } => {
                let name = match &relation.schema {
                    Some(schema) => format!("{}.{}", quoted(schema), quoted(&relation.name)),
                    None => quoted(&relation.name),
                };
                self.check_copied_table(relation)?;
                let names: Vec<String> = columns.iter().map(|name| quoted(name)).collect();
                let list = if names.is_empty() { "*".to_string() } else { names.join(", ") };
                let text = format!("SELECT {list} FROM {name}");
                let select =
                    parser::parse(&text)?.pop().ok_or_else(|| Error::internal("no SELECT for COPY"))?;
                ParsedStatement::new(select, &text)
            }
        };
        let mut rows = self.start_rows(&query, &[], Vec::new())?;
        let schema = rows.schema().clone();
        let fields = &schema.fields;
        client.copy_out(fields.len(), layout.format())?;
        let cx = self.settings.derived().text.clone();
        let mut line = Vec::new();
        if layout.binary {
            // It goes with the first row: clients take a message for a row.
            copy_binary::write_header(&mut line);
        }
        if layout.header == Header::Present {
            for (number, field) in fields.iter().enumerate() {
                if number > 0 {
                    line.push(layout.delimiter);
                }
                write_field(field.name.as_bytes(), false, fields.len() == 1, layout, &mut line);
            }
            line.push(b'\n');
            client.copy_out_data(&line)?;
        }
        let forced: Vec<bool> = fields.iter().map(|field| layout.force_quote.contains(&field.name)).collect();
        let mut count = 0u64;
        let mut value = Vec::new();
        while let Some(batch) = rows.next()? {
            for row in 0..batch.len() {
                if layout.binary {
                    copy_binary::write_row(&batch, row, &schema, &mut line);
                    client.copy_out_data(&line)?;
                    line.clear();
                    continue;
                }
                line.clear();
                for (number, (column, field)) in batch.columns().iter().zip(fields).enumerate() {
                    if number > 0 {
                        line.push(layout.delimiter);
                    }
                    if column.is_null(row) {
                        line.extend_from_slice(&layout.null);
                        continue;
                    }
                    value.clear();
                    write_vector_text(column, row, field.data_type, &cx, &mut value);
                    let forced = forced.get(number).copied().unwrap_or_default();
                    write_field(&value, forced, fields.len() == 1, layout, &mut line);
                }
                line.push(b'\n');
                client.copy_out_data(&line)?;
            }
            count += batch.len() as u64;
        }
        if layout.binary {
            copy_binary::write_trailer(&mut line);
            client.copy_out_data(&line)?;
        }
        client.copy_out_done();
        Ok(count)
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Takes the client's bytes apart into vectors.
pub trait Fields {
    /// Reads rows of `data` until a batch is full or no whole row is left; `last`: nothing comes after.
    /// Returns how many bytes were used up, and whether the batch is full.
    fn read(&mut self, data: &[u8], last: bool) -> Result<(usize, bool)>;

    /// Rows in the batch so far.
    fn rows(&self) -> usize;

    /// The rows so far, and the number of the first one's line.
    fn take_batch(&mut self) -> (u64, Batch);

    /// An end marker was met.
    fn has_ended(&self) -> bool;
}

/// Turns batches of fields into rows of the table.
struct Load<'a> {
    bound: &'a CopyFrom,
    /// For each table column: where the INSERT's input has it.
    positions: Vec<usize>,
    transaction: Arc<Transaction>,
    cx: ExecContext,
    copy: CopyIn,
}

impl<'a> Load<'a> {
    fn new(bound: &'a CopyFrom, plan: &Arc<PhysicalPlan>, environment: Environment) -> Result<Load<'a>> {
        let Op::Insert(insert) = &plan.root.op else {
            return Err(Error::internal("COPY FROM is not planned as an INSERT"));
        };
        Ok(Load {
            bound,
            positions: insert.columns.clone(),
            transaction: Arc::clone(&environment.transaction),
            cx: ExecContext::new(environment.clone()),
            copy: CopyIn::for_plan(plan, environment)?,
        })
    }

    fn push(&mut self, reader: &mut dyn Fields) -> Result<()> {
        let (first_line, fields) = reader.take_batch();
        let table = &self.bound.table.name;
        let before = self.transaction.savepoint();
        let Err(error) = self.push_fields(&fields) else { return Ok(()) };
        // Everything will be undone anyway; row by row tells which line it was.
        self.transaction.rollback_to(before)?;
        self.transaction.start_statement();
        for row in 0..fields.len() {
            if let Err(error) = self.push_fields(&fields.slice(row, row + 1)) {
                let line = first_line + row as u64;
                return Err(error.with_context(format!("COPY {table}, line {line}")));
            }
        }
        Err(error.with_context(format!("COPY {table}")))
    }

    fn push_fields(&mut self, fields: &Batch) -> Result<()> {
        let len = fields.len();
        let table = &self.bound.table;
        let mut row: Vec<Arc<Vector>> = table
            .columns
            .iter()
            .map(|column| Arc::new(Vector::nulls(column.data_type.physical, len)))
            .collect();
        let mut set = |index: usize, vector: Arc<Vector>| match row.get_mut(index) {
            Some(slot) => *slot = vector,
            None => debug_assert!(false, "a column beyond the table's"),
        };
        for (index, vector) in self.bound.columns.iter().zip(fields.columns()) {
            set(*index, Arc::clone(vector));
        }
        let empty = Batch::new(Vec::new(), len);
        for (index, default) in &self.bound.defaults {
            set(*index, self.cx.eval(default, &empty)?);
        }
        for (index, expr) in &self.bound.generated {
            let value = self.cx.eval(expr, &Batch::new(row.clone(), len))?;
            if let Some(slot) = row.get_mut(*index) {
                *slot = value;
            }
        }
        let mut rows = Batch::new(row, len);
        if let Some(filter) = &self.bound.filter {
            match self.cx.filter_batch(std::slice::from_ref(filter), rows)? {
                Some(kept) => rows = kept,
                None => return Ok(()),
            }
        }
        let width = self.positions.iter().max().map_or(0, |last| last + 1);
        let mut input: Vec<Option<Arc<Vector>>> = vec![None; width];
        for (vector, position) in rows.columns().iter().zip(&self.positions) {
            if let Some(slot) = input.get_mut(*position) {
                *slot = Some(Arc::clone(vector));
            }
        }
        let input: Option<Vec<Arc<Vector>>> = input.into_iter().collect();
        let input =
            input.ok_or_else(|| Error::internal("the INSERT behind COPY has an input of another shape"))?;
        self.copy.push_batch(&Batch::new(input, rows.len()))
    }
}

/// Takes lines apart into vectors.
struct Reader<'a> {
    layout: &'a Layout,
    table: &'a str,
    names: &'a [&'a str],
    types: &'a [DataType],
    cx: &'a TextContext,
    builders: Vec<VectorBuilder>,
    force_null: Vec<bool>,
    force_not_null: Vec<bool>,
    /// Number of the line being read, from 1.
    line: u64,
    first_line: u64,
    header_due: bool,
    /// The end marker `\.` was met.
    ended: bool,
    /// Where a field is put together when it has escapes.
    field: Vec<u8>,
    /// The beginning of the line that is wrong, for the error.
    shown: Vec<u8>,
}

impl<'a> Reader<'a> {
    fn new(
        layout: &'a Layout,
        table: &'a str,
        names: &'a [&'a str],
        types: &'a [DataType],
        cx: &'a TextContext,
    ) -> Reader<'a> {
        let mut reader = Reader {
            layout,
            table,
            names,
            types,
            cx,
            builders: Vec::new(),
            force_null: names.iter().map(|name| layout.force_null.contains(name)).collect(),
            force_not_null: names.iter().map(|name| layout.force_not_null.contains(name)).collect(),
            line: 0,
            first_line: 1,
            header_due: layout.header != Header::None,
            ended: false,
            field: Vec::new(),
            shown: Vec::new(),
        };
        reader.reset();
        reader
    }

    fn reset(&mut self) {
        self.builders = self.types.iter().map(|t| VectorBuilder::for_type(*t, BATCH_SIZE)).collect();
    }

    fn read_lines(&mut self, data: &[u8], last: bool) -> Result<(usize, bool)> {
        let mut used = 0;
        while !self.ended {
            let rest = data.get(used..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            let end = if self.layout.csv { self.csv_line_end(rest) } else { text_line_end(rest) };
            let (line, length) = match end {
                Some(end) => (rest.get(..end).unwrap_or_default(), end + 1),
                None if last => (rest, rest.len()),
                None => break,
            };
            used += length;
            self.line += 1;
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line == b"\\." {
                self.ended = true;
                break;
            }
            if self.header_due {
                self.header_due = false;
                if self.layout.header == Header::Match {
                    self.match_header(line)?;
                }
                self.first_line = self.line + 1;
                continue;
            }
            if let Err(error) = self.one_line(line) {
                if error.code() != SqlState::BAD_COPY_FILE_FORMAT {
                    return Err(error);
                }
                self.shown = line.iter().take(400).copied().collect();
                return Err(self.format_error(error.message().to_string()));
            }
            if self.rows() >= BATCH_SIZE {
                return Ok((used, true));
            }
        }
        Ok((used, false))
    }

    /// The newline that ends a csv record: one outside quotes.
    fn csv_line_end(&self, data: &[u8]) -> Option<usize> {
        let (quote, escape) = (self.layout.quote, self.layout.escape);
        let mut at = 0;
        let mut quoted = false;
        while let Some(offset) = memchr2(b'\n', quote, data.get(at..)?) {
            let here = at + offset;
            if data.get(here) == Some(&b'\n') {
                if !quoted {
                    return Some(here);
                }
            } else if !(quoted && escape != quote && here > 0 && data.get(here - 1) == Some(&escape)) {
                quoted = !quoted;
            }
            at = here + 1;
        }
        None
    }

    fn match_header(&mut self, line: &[u8]) -> Result<()> {
        let found: Vec<&[u8]> = line.split(|&byte| byte == self.layout.delimiter).collect();
        if found.len() != self.names.len() {
            return Err(self.format_error(format!(
                "wrong number of fields in header line: got {}, expected {}",
                found.len(),
                self.names.len()
            )));
        }
        for (number, (field, name)) in found.iter().zip(self.names).enumerate() {
            let bare = field.strip_prefix(b"\"").and_then(|f| f.strip_suffix(b"\"")).unwrap_or(field);
            if bare != name.as_bytes() {
                return Err(self.format_error(format!(
                    "column name mismatch in header line field {}: got \"{}\", expected \"{name}\"",
                    number + 1,
                    String::from_utf8_lossy(bare)
                )));
            }
        }
        Ok(())
    }

    fn one_line(&mut self, line: &[u8]) -> Result<()> {
        let columns = self.types.len();
        if columns == 0 {
            return if line.is_empty() { Ok(()) } else { Err(self.extra()) };
        }
        let mut rest = Some(line);
        for column in 0..columns {
            let Some(input) = rest else {
                return Err(self.format_error(format!(
                    "missing data for column \"{}\"",
                    self.names.get(column).copied().unwrap_or_default()
                )));
            };
            rest = if self.layout.csv {
                self.csv_field(column, input)?
            } else {
                self.text_field(column, input)?
            };
        }
        match rest {
            None => Ok(()),
            Some(_) => Err(self.extra()),
        }
    }

    fn extra(&self) -> Error {
        self.format_error("extra data after last expected column".to_string())
    }

    /// Reads one field of the text format; returns what follows its delimiter.
    fn text_field<'b>(&mut self, column: usize, input: &'b [u8]) -> Result<Option<&'b [u8]>> {
        let delimiter = self.layout.delimiter;
        let mut end = memchr2(delimiter, b'\\', input).unwrap_or(input.len());
        if input.get(end) != Some(&b'\\') {
            let field = input.get(..end).unwrap_or_default();
            if field == self.layout.null.as_slice() {
                self.null(column)
            } else {
                self.value(column, field)?
            }
            return Ok(input.get(end + 1..).filter(|_| end < input.len()));
        }
        // Escapes: find the end first, since the null string is matched before they are undone.
        while let Some(&byte) = input.get(end) {
            match byte {
                b'\\' => end += 2,
                _ if byte == delimiter => break,
                _ => end += 1,
            }
        }
        let end = end.min(input.len());
        let raw = input.get(..end).unwrap_or_default();
        if raw == self.layout.null.as_slice() {
            self.null(column);
        } else {
            let mut field = std::mem::take(&mut self.field);
            field.clear();
            unescape(raw, &mut field);
            let result = self.value(column, &field);
            self.field = field;
            result?;
        }
        Ok(input.get(end + 1..).filter(|_| end < input.len()))
    }

    /// Reads one field of the csv format; returns what follows its delimiter.
    fn csv_field<'b>(&mut self, column: usize, input: &'b [u8]) -> Result<Option<&'b [u8]>> {
        let Layout { delimiter, quote, escape, .. } = *self.layout;
        let end = memchr2(delimiter, quote, input).unwrap_or(input.len());
        if input.get(end) != Some(&quote) {
            let field = input.get(..end).unwrap_or_default();
            let forced = self.force_not_null.get(column).copied().unwrap_or_default();
            if field == self.layout.null.as_slice() && !forced {
                self.null(column)
            } else {
                self.value(column, field)?
            }
            return Ok(input.get(end + 1..).filter(|_| end < input.len()));
        }
        let mut field = std::mem::take(&mut self.field);
        field.clear();
        field.extend_from_slice(input.get(..end).unwrap_or_default());
        let mut at = end;
        let mut quoted = false;
        while let Some(&byte) = input.get(at) {
            let next = input.get(at + 1).copied();
            if quoted {
                if byte == escape && (next == Some(quote) || (next == Some(escape) && escape != quote)) {
                    field.extend(next);
                    at += 1;
                } else if byte == quote {
                    quoted = false;
                } else {
                    field.push(byte);
                }
            } else if byte == quote {
                quoted = true;
            } else if byte == delimiter {
                break;
            } else {
                field.push(byte);
            }
            at += 1;
        }
        let result = if quoted {
            Err(self.format_error("unterminated CSV quoted field".to_string()))
        } else if field == self.layout.null && self.force_null.get(column).copied().unwrap_or_default() {
            self.null(column);
            Ok(())
        } else {
            self.value(column, &field)
        };
        self.field = field;
        result?;
        Ok(input.get(at + 1..).filter(|_| at < input.len()))
    }

    fn null(&mut self, column: usize) {
        if let Some(builder) = self.builders.get_mut(column) {
            builder.push_null();
        }
    }

    fn value(&mut self, column: usize, field: &[u8]) -> Result<()> {
        let (Some(builder), Some(data_type)) = (self.builders.get_mut(column), self.types.get(column)) else {
            return Err(Error::internal("a COPY field without column"));
        };
        push_text(builder, *data_type, field, self.cx).map_err(|error| {
            let shown: String = String::from_utf8_lossy(field).chars().take(100).collect();
            error.with_context(format!(
                "COPY {}, line {}, column {}: \"{shown}\"",
                self.table,
                self.line,
                self.names.get(column).copied().unwrap_or_default()
            ))
        })
    }

    /// 22P04 with the line.
    fn format_error(&self, message: String) -> Error {
        let shown: String = String::from_utf8_lossy(&self.shown).chars().take(100).collect();
        Error::new(SqlState::BAD_COPY_FILE_FORMAT, message)
            .with_context(format!("COPY {}, line {}: \"{shown}\"", self.table, self.line))
    }
}

impl Fields for Reader<'_> {
    fn read(&mut self, data: &[u8], last: bool) -> Result<(usize, bool)> {
        self.read_lines(data, last)
    }

    fn rows(&self) -> usize {
        self.builders.first().map_or(0, VectorBuilder::len)
    }

    fn take_batch(&mut self) -> (u64, Batch) {
        let (first_line, len) = (self.first_line, self.rows());
        let builders = std::mem::take(&mut self.builders);
        self.reset();
        self.first_line = self.line + 1;
        let columns = builders.into_iter().map(|builder| Arc::new(builder.finish())).collect();
        (first_line, Batch::new(columns, len))
    }

    fn has_ended(&self) -> bool {
        self.ended
    }
}

/// The newline that ends a line of the text format: one without a backslash before it.
fn text_line_end(data: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let end = from + memchr(b'\n', data.get(from..)?)?;
        let before = data.get(..end).unwrap_or_default();
        let backslashes = before.iter().rev().take_while(|&&byte| byte == b'\\').count();
        // `\.` and `\N` end lines, too: only an odd run right before the newline escapes it.
        if backslashes % 2 == 0 {
            return Some(end);
        }
        from = end + 1;
    }
}

/// Undoes the text format's backslashes.
fn unescape(raw: &[u8], out: &mut Vec<u8>) {
    let digit = |byte: Option<&u8>, radix: u32| byte.and_then(|&b| char::from(b).to_digit(radix));
    let mut at = 0;
    while let Some(&byte) = raw.get(at) {
        at += 1;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let Some(&escaped) = raw.get(at) else {
            out.push(b'\\');
            break;
        };
        at += 1;
        match escaped {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'v' => out.push(11),
            b'0'..=b'7' => {
                let mut value = u32::from(escaped - b'0');
                for _ in 0..2 {
                    let Some(next) = digit(raw.get(at), 8) else { break };
                    value = value * 8 + next;
                    at += 1;
                }
                out.push((value & 0xff) as u8);
            }
            b'x' if digit(raw.get(at), 16).is_some() => {
                let mut value = 0;
                for _ in 0..2 {
                    let Some(next) = digit(raw.get(at), 16) else { break };
                    value = value * 16 + next;
                    at += 1;
                }
                out.push((value & 0xff) as u8);
            }
            other => out.push(other),
        }
    }
}

/// Appends one value that is not NULL. `alone`: it is the line's only one.
fn write_field(value: &[u8], forced: bool, alone: bool, layout: &Layout, out: &mut Vec<u8>) {
    if !layout.csv {
        for &byte in value {
            match byte {
                8 => out.extend_from_slice(b"\\b"),
                12 => out.extend_from_slice(b"\\f"),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\r' => out.extend_from_slice(b"\\r"),
                b'\t' => out.extend_from_slice(b"\\t"),
                11 => out.extend_from_slice(b"\\v"),
                b'\\' => out.extend_from_slice(b"\\\\"),
                _ if byte == layout.delimiter => out.extend_from_slice(&[b'\\', byte]),
                _ => out.push(byte),
            }
        }
        return;
    }
    let special =
        |byte: &u8| *byte == layout.delimiter || *byte == layout.quote || matches!(byte, b'\n' | b'\r');
    let needs =
        forced || value == layout.null.as_slice() || value.iter().any(special) || (alone && value == b"\\.");
    if !needs {
        out.extend_from_slice(value);
        return;
    }
    out.push(layout.quote);
    for &byte in value {
        if byte == layout.quote || byte == layout.escape {
            out.push(layout.escape);
        }
        out.push(byte);
    }
    out.push(layout.quote);
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::Value;

    fn layout(csv: bool) -> Layout {
        let format = DefElem {
            namespace: None,
            name: "format".into(),
            value: Some(DefValue::Word(if csv { "csv" } else { "text" }.into())),
            span: Span::default(),
        };
        Layout::read(&[format], true).unwrap()
    }

    fn read(csv: bool, data: &[u8]) -> Result<Vec<Vec<Option<String>>>> {
        let layout = layout(csv);
        let cx = TextContext::default();
        let types = [DataType::TEXT, DataType::TEXT];
        let mut reader = Reader::new(&layout, "t", &["a", "b"], &types, &cx);
        // Byte by byte at first, so that every cut is met.
        let mut taken = 0;
        for end in 0..=data.len() {
            let (used, _) = reader.read(&data[taken..end], end == data.len())?;
            taken += used;
        }
        let (_, batch) = reader.take_batch();
        let text = |value: Value| value.as_str().map(str::to_string);
        Ok((0..batch.len()).map(|row| batch.row(row).into_iter().map(text).collect()).collect())
    }

    fn some(a: &str, b: &str) -> Vec<Option<String>> {
        vec![Some(a.into()), Some(b.into())]
    }

    #[test]
    fn text_lines_read_with_escapes_nulls_and_the_end_marker() {
        let rows = read(false, b"a\tb\n\\N\t\\\\N\nx\\ty\\n\\x41\\101\t\r\n\\.\nnot this").unwrap();
        assert_eq!(rows, [some("a", "b"), vec![None, Some("\\N".into())], some("x\ty\nAA", "")]);
    }

    #[test]
    fn csv_lines_read_with_quotes_and_newlines_inside() {
        let rows = read(true, b"a,\"b,\"\"c\"\"\n\"\n,\"\"\r\nlast,line").unwrap();
        assert_eq!(rows, [some("a", "b,\"c\"\n"), vec![None, Some("".into())], some("last", "line")]);
    }

    #[test]
    fn wrong_numbers_of_fields_name_the_line() {
        for (csv, data) in [(false, b"a\tb\nc\n".as_slice()), (true, b"a,b\nc\n")] {
            let error = read(csv, data).unwrap_err();
            assert_eq!(error.message(), "missing data for column \"b\"");
            assert_eq!(error.fields().context.as_deref(), Some("COPY t, line 2: \"c\""));
        }
        assert_eq!(read(false, b"a\tb\tc\n").unwrap_err().message(), "extra data after last expected column");
        assert_eq!(read(true, b"a,\"b\n").unwrap_err().message(), "unterminated CSV quoted field");
    }

    #[test]
    fn what_is_written_reads_back() {
        let nasty = ["", "\\N", "a\tb\\c\nd\r", "\"q\",\u{8}\u{b}\u{c}", "\\.", "é"];
        for csv in [false, true] {
            let layout = layout(csv);
            for a in nasty {
                for b in nasty {
                    let mut line = Vec::new();
                    write_field(a.as_bytes(), false, false, &layout, &mut line);
                    line.push(layout.delimiter);
                    write_field(b.as_bytes(), false, false, &layout, &mut line);
                    line.push(b'\n');
                    assert_eq!(read(csv, &line).unwrap(), [some(a, b)], "csv {csv}: {line:?}");
                }
            }
        }
    }
}
