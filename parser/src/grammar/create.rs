//! CREATE: what follows the word, and the objects whose grammar is short.
//!
//! Called by `statement.rs`. Tables are in `table.rs`, roles in `role.rs`, functions and triggers in `routine.rs`.

use types::{Error, Result, Span};

use super::Parser;
use crate::ast::*;
use crate::keyword::Keyword as K;
use crate::lexer::Tok;

impl Parser<'_> {
    pub(super) fn create(&mut self) -> Result<Node> {
        let span = self.bump().span();
        let or_replace = self.eat_all(&[K::Or, K::Replace]);
        let persistence = self.persistence();
        let permanent = persistence == Persistence::Permanent;
        if or_replace || !permanent {
            // Few things take OR REPLACE or TEMP; the rest is a syntax error at their name.
            return match self.peek() {
                Tok::Keyword(K::Table) if !or_replace => self.create_table(persistence, span),
                Tok::Keyword(K::Sequence) if !or_replace => self.create_sequence(persistence, span),
                Tok::Keyword(K::Materialized) if !or_replace && persistence == Persistence::Unlogged => {
                    self.create_materialized_view(persistence, span)
                }
                Tok::Keyword(K::View | K::Recursive) if persistence != Persistence::Unlogged => {
                    self.create_view(or_replace, persistence, span)
                }
                Tok::Keyword(K::Function | K::Procedure) if permanent => {
                    self.create_function(or_replace, span)
                }
                Tok::Keyword(K::Trigger) if permanent => self.create_trigger(or_replace, span),
                Tok::Keyword(K::Constraint) if permanent => self.create_trigger(or_replace, span),
                Tok::Keyword(K::Aggregate) if permanent => self.unsupported("CREATE AGGREGATE"),
                Tok::Keyword(K::Rule) if permanent => self.unsupported("CREATE RULE"),
                Tok::Keyword(K::Language | K::Trusted | K::Procedural) if permanent => {
                    self.unsupported("CREATE LANGUAGE")
                }
                Tok::Keyword(K::Transform) if permanent => self.unsupported("CREATE TRANSFORM"),
                _ => self.fail(),
            };
        }
        match self.peek() {
            Tok::Keyword(K::Table) => self.create_table(persistence, span),
            Tok::Keyword(K::View | K::Recursive) => self.create_view(false, persistence, span),
            Tok::Keyword(K::Materialized) => self.create_materialized_view(persistence, span),
            Tok::Keyword(K::Index | K::Unique) => self.create_index(span),
            Tok::Keyword(K::Sequence) => self.create_sequence(persistence, span),
            Tok::Keyword(K::Schema) => self.create_schema(span),
            Tok::Keyword(K::Type) => self.create_type(span),
            Tok::Keyword(K::Domain) => self.create_domain(span),
            Tok::Keyword(K::User) if self.is_at(1, K::Mapping) => self.unsupported("CREATE USER MAPPING"),
            Tok::Keyword(K::Role | K::User | K::Group) => self.create_role(span),
            Tok::Keyword(K::Database) => self.create_database(span),
            Tok::Keyword(K::Extension) => self.create_extension(span),
            Tok::Keyword(K::Function | K::Procedure) => self.create_function(false, span),
            Tok::Keyword(K::Trigger | K::Constraint) => self.create_trigger(false, span),
            Tok::Keyword(keyword) => {
                let command = match keyword {
                    K::Access if self.is_at(1, K::Method) => "CREATE ACCESS METHOD",
                    K::Aggregate => "CREATE AGGREGATE",
                    K::Cast => "CREATE CAST",
                    K::Collation => "CREATE COLLATION",
                    K::Conversion => "CREATE CONVERSION",
                    K::Default if self.is_at(1, K::Conversion) => "CREATE CONVERSION",
                    K::Event if self.is_at(1, K::Trigger) => "CREATE EVENT TRIGGER",
                    K::Foreign if self.is_at(1, K::Data) => "CREATE FOREIGN DATA WRAPPER",
                    K::Foreign if self.is_at(1, K::Table) => "CREATE FOREIGN TABLE",
                    K::Language | K::Trusted | K::Procedural => "CREATE LANGUAGE",
                    K::Operator if self.is_at(1, K::Class) => "CREATE OPERATOR CLASS",
                    K::Operator if self.is_at(1, K::Family) => "CREATE OPERATOR FAMILY",
                    K::Operator => "CREATE OPERATOR",
                    K::Policy => "CREATE POLICY",
                    K::Publication => "CREATE PUBLICATION",
                    K::Rule => "CREATE RULE",
                    K::Server => "CREATE SERVER",
                    K::Statistics => "CREATE STATISTICS",
                    K::Subscription => "CREATE SUBSCRIPTION",
                    K::Tablespace => "CREATE TABLESPACE",
                    K::Text if self.is_at(1, K::Search) => match self.peek_at(2) {
                        Tok::Keyword(K::Configuration) => "CREATE TEXT SEARCH CONFIGURATION",
                        Tok::Keyword(K::Dictionary) => "CREATE TEXT SEARCH DICTIONARY",
                        Tok::Keyword(K::Parser) => "CREATE TEXT SEARCH PARSER",
                        Tok::Keyword(K::Template) => "CREATE TEXT SEARCH TEMPLATE",
                        _ => return self.fail(),
                    },
                    K::Transform => "CREATE TRANSFORM",
                    _ => return self.fail(),
                };
                self.unsupported(command)
            }
            _ => self.fail(),
        }
    }

    /// TEMPORARY, TEMP, LOCAL TEMP, GLOBAL TEMP, UNLOGGED.
    pub(super) fn persistence(&mut self) -> Persistence {
        let temp = |p: &Self, ahead| p.is_at(ahead, K::Temp) || p.is_at(ahead, K::Temporary);
        if self.eat(K::Unlogged) {
            return Persistence::Unlogged;
        }
        if temp(self, 0) {
            self.at += 1;
            return Persistence::Temporary;
        }
        if self.is_any(&[K::Local, K::Global]) && temp(self, 1) {
            self.at += 2;
            return Persistence::Temporary;
        }
        Persistence::Permanent
    }

    fn create_view(&mut self, or_replace: bool, persistence: Persistence, span: Span) -> Result<Node> {
        let recursive = self.eat(K::Recursive);
        self.expect(K::View)?;
        let relation = self.qualified_name()?;
        let columns = if recursive { self.column_list()? } else { self.opt_column_list()? };
        let options = self.opt_with_definition()?;
        self.expect(K::As)?;
        let start = self.span().start;
        let query = self.query()?;
        let query_text = Span { start, end: self.last_end() };
        let mut check_option = ViewCheckOption::None;
        if self.eat(K::With) {
            let at = self.span();
            check_option = if self.eat(K::Local) {
                ViewCheckOption::Local
            } else {
                self.eat(K::Cascaded);
                ViewCheckOption::Cascaded
            };
            self.expect(K::Check)?;
            self.expect(K::Option)?;
            if recursive {
                return Err(Error::not_supported("WITH CHECK OPTION on recursive views").at(at));
            }
        }
        Ok(Node::CreateView(Box::new(CreateViewStmt {
            relation,
            persistence,
            or_replace,
            recursive,
            columns,
            options,
            query,
            check_option,
            query_text,
            span,
        })))
    }

    fn create_materialized_view(&mut self, persistence: Persistence, span: Span) -> Result<Node> {
        self.expect(K::Materialized)?;
        self.expect(K::View)?;
        let if_not_exists = self.if_not_exists()?;
        let relation = self.qualified_name()?;
        let columns = self.opt_column_list()?;
        let access_method = if self.eat(K::Using) { Some(self.col_id()?) } else { None };
        let options = self.opt_with_definition()?;
        let tablespace = self.opt_tablespace()?;
        self.expect(K::As)?;
        let create = CreateTableAsStmt {
            relation,
            persistence,
            materialized_view: true,
            if_not_exists,
            columns,
            access_method,
            options,
            on_commit: OnCommit::NotSet,
            tablespace,
            query: Box::new(Node::Checkpoint(span)),
            with_no_data: false,
            select_into: false,
            query_text: span,
            span,
        };
        self.create_as_query(create, false)
    }

    pub(super) fn refresh(&mut self) -> Result<Node> {
        let span = self.bump().span();
        self.expect(K::Materialized)?;
        self.expect(K::View)?;
        let concurrently = self.eat(K::Concurrently);
        let relation = self.qualified_name()?;
        let with_no_data = self.opt_with_no_data()?;
        Ok(Node::Refresh(Box::new(RefreshStmt { relation, concurrently, with_no_data, span })))
    }

    fn create_index(&mut self, span: Span) -> Result<Node> {
        let unique = self.eat(K::Unique);
        self.expect(K::Index)?;
        let concurrently = self.eat(K::Concurrently);
        let if_not_exists = self.if_not_exists()?;
        let name = if self.is(K::On) && !if_not_exists { None } else { Some(self.col_id()?) };
        self.expect(K::On)?;
        let relation = self.relation_expr()?;
        let access_method = if self.eat(K::Using) { Some(self.col_id()?) } else { None };
        let elements = self.parens(Self::index_elem)?;
        let include = if self.eat(K::Include) { self.parens(Self::index_elem)? } else { Vec::new() };
        let nulls_not_distinct = self.nulls_not_distinct()?;
        let options = self.opt_with_definition()?;
        let tablespace = self.opt_tablespace()?;
        let where_ = self.opt_where()?;
        Ok(Node::CreateIndex(Box::new(CreateIndexStmt {
            name,
            relation,
            unique,
            concurrently,
            if_not_exists,
            access_method,
            elements,
            include,
            nulls_not_distinct,
            options,
            tablespace,
            where_,
            span,
        })))
    }

    // ---- sequences ----------------------------------------------------------------------------

    fn create_sequence(&mut self, persistence: Persistence, span: Span) -> Result<Node> {
        self.expect(K::Sequence)?;
        let if_not_exists = self.if_not_exists()?;
        let relation = self.qualified_name()?;
        let options = self.sequence_options()?;
        let create = CreateSequenceStmt { relation, persistence, if_not_exists, options, span };
        Ok(Node::CreateSequence(Box::new(create)))
    }

    /// As many sequence options as there are.
    pub(super) fn sequence_options(&mut self) -> Result<Vec<SequenceOption>> {
        let mut options = Vec::new();
        while let Some(option) = self.sequence_option()? {
            options.push(option);
        }
        Ok(options)
    }

    pub(super) fn opt_sequence_options_in_parens(&mut self) -> Result<Vec<SequenceOption>> {
        if !self.eat_char(b'(') {
            return Ok(Vec::new());
        }
        let options = self.sequence_options()?;
        if options.is_empty() {
            return self.fail();
        }
        self.expect_char(b')')?;
        Ok(options)
    }

    pub(super) fn sequence_option(&mut self) -> Result<Option<SequenceOption>> {
        use SequenceOptionKind as S;
        let span = self.span();
        let Tok::Keyword(keyword) = self.peek() else { return Ok(None) };
        if !matches!(
            keyword,
            K::As
                | K::Cache
                | K::Cycle
                | K::No
                | K::Increment
                | K::Maxvalue
                | K::Minvalue
                | K::Owned
                | K::Sequence
                | K::Start
                | K::Restart
        ) {
            return Ok(None);
        }
        self.bump();
        let kind = match keyword {
            K::As => S::As(self.simple_type_name()?),
            K::Cache => S::Cache(self.numeric_i64()?),
            K::Cycle => S::Cycle(true),
            K::No => {
                let option = match self.peek() {
                    Tok::Keyword(K::Cycle) => S::Cycle(false),
                    Tok::Keyword(K::Maxvalue) => S::MaxValue(None),
                    Tok::Keyword(K::Minvalue) => S::MinValue(None),
                    _ => return self.fail(),
                };
                self.bump();
                option
            }
            K::Increment => {
                self.eat(K::By);
                S::Increment(self.numeric_i64()?)
            }
            K::Maxvalue => S::MaxValue(Some(self.numeric_i64()?)),
            K::Minvalue => S::MinValue(Some(self.numeric_i64()?)),
            K::Owned => {
                self.expect(K::By)?;
                S::OwnedBy(self.any_name()?)
            }
            K::Sequence => {
                self.expect(K::Name)?;
                S::SequenceName(self.any_name()?)
            }
            K::Start => {
                self.eat(K::With);
                S::Start(self.numeric_i64()?)
            }
            _ => {
                let with = self.eat(K::With);
                let number = matches!(self.peek(), Tok::Integer | Tok::Numeric | Tok::Char(b'+' | b'-'));
                S::Restart(if with || number { Some(self.numeric_i64()?) } else { None })
            }
        };
        Ok(Some(SequenceOption { kind, span }))
    }

    // ---- schemas, types, domains --------------------------------------------------------------

    fn create_schema(&mut self, span: Span) -> Result<Node> {
        self.expect(K::Schema)?;
        let if_not_exists = self.if_not_exists()?;
        let mut schema =
            CreateSchemaStmt { name: None, authorization: None, if_not_exists, elements: Vec::new(), span };
        if !self.is(K::Authorization) {
            schema.name = Some(self.col_id()?);
        }
        if schema.name.is_none() || self.is(K::Authorization) {
            self.expect(K::Authorization)?;
            schema.authorization = Some(self.role_spec()?);
        }
        while self.is_any(&[K::Create, K::Grant]) {
            let at = self.span();
            if if_not_exists {
                return Err(Error::not_supported("CREATE SCHEMA IF NOT EXISTS with schema elements").at(at));
            }
            let outer = self.enter()?;
            let element = self.statement()?;
            self.leave(outer);
            match element {
                Node::CreateTable(_)
                | Node::CreateIndex(_)
                | Node::CreateSequence(_)
                | Node::CreateTrigger(_)
                | Node::Grant(_)
                | Node::CreateView(_) => schema.elements.push(element),
                _ => return self.refuse("syntax error in schema element", at),
            }
        }
        Ok(Node::CreateSchema(Box::new(schema)))
    }

    fn create_type(&mut self, span: Span) -> Result<Node> {
        self.expect(K::Type)?;
        let name = self.qualified_any_name()?;
        let definition = if self.is_char(b'(') {
            TypeDefinition::Base(self.definition()?)
        } else if !self.eat(K::As) {
            TypeDefinition::Shell
        } else if self.eat(K::Enum) {
            self.expect_char(b'(')?;
            let labels = if self.is_char(b')') { Vec::new() } else { self.list(Self::string)? };
            self.expect_char(b')')?;
            TypeDefinition::Enum(labels)
        } else if self.eat(K::Range) {
            TypeDefinition::Range(self.definition()?)
        } else if self.is_char(b'(') && self.peek_at(1) == Tok::Char(b')') {
            self.at += 2;
            TypeDefinition::Composite(Vec::new())
        } else {
            TypeDefinition::Composite(self.column_definitions()?)
        };
        Ok(Node::CreateType(Box::new(CreateTypeStmt { name, definition, span })))
    }

    fn create_domain(&mut self, span: Span) -> Result<Node> {
        self.expect(K::Domain)?;
        let name = self.qualified_any_name()?;
        self.eat(K::As);
        let type_name = self.type_name()?;
        let mut domain = CreateDomainStmt { name, type_name, collation: None, constraints: Vec::new(), span };
        loop {
            let at = self.span();
            if self.eat(K::Collate) {
                if domain.collation.is_some() {
                    return self.refuse("multiple COLLATE clauses not allowed", at);
                }
                domain.collation = Some(self.any_name()?);
            } else if !self.column_constraint(&mut domain.constraints)? {
                return Ok(Node::CreateDomain(Box::new(domain)));
            }
        }
    }

    // ---- databases, extensions ----------------------------------------------------------------

    fn create_database(&mut self, span: Span) -> Result<Node> {
        self.expect(K::Database)?;
        let name = self.col_id()?;
        self.eat(K::With);
        let options = self.database_options()?;
        Ok(Node::CreateDatabase(Box::new(CreateDatabaseStmt { name, options, span })))
    }

    /// `name [=] value …`; names of two words are joined by an underscore, as in PostgreSQL.
    pub(super) fn database_options(&mut self) -> Result<Vec<DefElem>> {
        let mut options = Vec::new();
        loop {
            let span = self.span();
            let name = match self.peek() {
                Tok::Keyword(K::Connection) => {
                    self.bump();
                    self.expect(K::Limit)?;
                    "connection_limit".to_string()
                }
                Tok::Keyword(K::Encoding | K::Location | K::Owner | K::Tablespace | K::Template)
                | Tok::Word => self.col_label()?,
                _ => return Ok(options),
            };
            self.eat_char(b'=');
            let value = match self.peek() {
                Tok::Keyword(K::Default) => {
                    self.bump();
                    None
                }
                Tok::Integer | Tok::Char(b'+' | b'-') => Some(DefValue::Integer(self.signed_iconst()?)),
                _ => Some(self.boolean_or_string()?),
            };
            options.push(DefElem { namespace: None, name, value, span });
        }
    }

    fn create_extension(&mut self, span: Span) -> Result<Node> {
        self.expect(K::Extension)?;
        let if_not_exists = self.if_not_exists()?;
        let name = self.col_id()?;
        self.eat(K::With);
        let mut options = Vec::new();
        loop {
            let at = self.span();
            let (option, value) = match self.peek() {
                Tok::Keyword(K::Schema) => {
                    self.bump();
                    ("schema", Some(DefValue::Word(self.col_id()?)))
                }
                Tok::Keyword(K::Version) => {
                    self.bump();
                    let value = if Self::tok_is_string(self.peek()) {
                        DefValue::String(self.string()?)
                    } else {
                        DefValue::Word(self.non_reserved_word()?)
                    };
                    ("new_version", Some(value))
                }
                Tok::Keyword(K::Cascade) => {
                    self.bump();
                    ("cascade", None)
                }
                _ => break,
            };
            options.push(DefElem { namespace: None, name: option.into(), value, span: at });
        }
        Ok(Node::CreateExtension(Box::new(CreateExtensionStmt { name, if_not_exists, options, span })))
    }
}
