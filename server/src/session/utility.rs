//! Commands that are not planned: transactions, settings, prepared statements, schema changes, upkeep.
//!
//! What PostgreSQL has and we do not is refused here by name, with a hint; nothing is accepted and ignored.

use std::sync::Arc;

use parser::ast::{DiscardTarget, Node, SetAction, SetStmt, SetValue, TransactionMode, VacuumStmt};
use types::{Batch, DataType, Error, Field, Result, Schema, SqlState, Value, VectorBuilder};

use crate::notify::{Listening, Message};
use crate::session::settings;
use crate::session::statement::ParsedStatement;
use crate::session::{Client, Format, Session};
use crate::wire::encode::Severity;

impl Session {
    /// Runs a command that is not a query; returns its tag.
    pub(crate) fn run_utility(
        &mut self,
        statement: &ParsedStatement,
        parameter_types: &[DataType],
        parameters: Vec<Value>,
        formats: &[Format],
        describe: bool,
        client: &mut dyn Client,
    ) -> Result<String> {
        let tag = statement.statement.command_tag();
        match &statement.statement.node {
            Node::Transaction(command) => self.transaction_command(command, client).map(str::to_string),
            Node::Set(set) => {
                self.set(set, client)?;
                Ok(tag)
            }
            Node::Show(show) => {
                self.show(&show.name, formats, describe, client)?;
                Ok(tag)
            }
            Node::Discard(discard) => {
                self.discard(discard.target, client)?;
                Ok(tag)
            }
            Node::Prepare(prepare) => {
                self.prepare(prepare, &statement.query_text)?;
                Ok(tag)
            }
            Node::Execute(execute) => self.execute_prepared(execute, formats, describe, client),
            Node::Deallocate(deallocate) => {
                self.deallocate(deallocate)?;
                Ok(tag)
            }
            Node::DeclareCursor(declare) => {
                self.declare_cursor(declare, statement, parameter_types, parameters)?;
                Ok(tag)
            }
            Node::Fetch(fetch) => self.fetch_cursor(fetch, formats, describe, client),
            Node::ClosePortal(close) => {
                self.close_cursor(close)?;
                Ok(tag)
            }
            Node::Copy(copy) => self.copy(copy, statement, client),
            Node::Explain(explain) => {
                self.explain(explain, statement, parameter_types, parameters, formats, describe, client)?;
                Ok(tag)
            }
            Node::Vacuum(vacuum) => self.vacuum(vacuum, statement, client),
            Node::Checkpoint(_) => {
                let catalog = self.catalog()?;
                let role = self.current_role().id;
                if !catalog.is_superuser(role) && !catalog.has_rights_of(role, catalog::bootstrap::CHECKPOINT)
                {
                    return Err(Error::new(
                        SqlState::INSUFFICIENT_PRIVILEGE,
                        "must be superuser or have privileges of pg_checkpoint to do CHECKPOINT",
                    ));
                }
                self.server.store.checkpoint()?;
                Ok(tag)
            }
            Node::CreateDatabase(_) | Node::DropDatabase(_) => {
                self.check_outside_block(&tag)?;
                self.run_ddl(statement, client)
            }
            Node::CreateIndex(create) if create.concurrently => {
                Err(Error::not_supported("CREATE INDEX CONCURRENTLY")
                    .with_hint("Use CREATE INDEX: other schema changes wait for it, reads do not."))
            }
            Node::Truncate(_)
            | Node::CreateTable(_)
            | Node::CreateTableAs(_)
            | Node::CreateIndex(_)
            | Node::CreateView(_)
            | Node::CreateSequence(_)
            | Node::CreateSchema(_)
            | Node::CreateType(_)
            | Node::CreateDomain(_)
            | Node::CreateRole(_)
            | Node::AlterTable(_)
            | Node::AlterSequence(_)
            | Node::AlterDomain(_)
            | Node::AlterEnum(_)
            | Node::AlterRole(_)
            | Node::AlterObjectSchema(_)
            | Node::AlterOwner(_)
            | Node::Rename(_)
            | Node::Drop(_)
            | Node::DropRole(_)
            | Node::GrantRole(_)
            | Node::Grant(_)
            | Node::AlterDefaultPrivileges(_)
            | Node::Owned(_)
            | Node::Comment(_) => self.run_ddl(statement, client),
            Node::Listen(listen) => {
                self.current_transaction()?;
                self.pending.lock().listening.push(Listening::Begin(listen.channel.clone()));
                Ok(tag)
            }
            Node::Unlisten(unlisten) => {
                self.current_transaction()?;
                let end = unlisten.channel.clone().map_or(Listening::EndAll, Listening::End);
                self.pending.lock().listening.push(end);
                Ok(tag)
            }
            Node::Notify(notify) => {
                self.current_transaction()?;
                let payload = notify.payload.as_deref().unwrap_or_default();
                let message = Message::new(&notify.channel, payload)?;
                self.pending.lock().notify(message);
                Ok(tag)
            }
            Node::SetConstraints(set) => {
                self.set_constraints(set, client)?;
                Ok(tag)
            }
            Node::Lock(lock) => {
                self.lock_tables(lock)?;
                Ok(tag)
            }
            Node::Call(_) | Node::Do(_) | Node::CreateFunction(_) | Node::CreateTrigger(_) => {
                Err(Error::not_supported(&tag)
                    .with_hint("There are no user-defined functions or procedures yet."))
            }
            _ => Err(Error::not_supported(&tag)
                .with_hint("It is part of PostgreSQL, but not of this release.")
                .at(statement.statement.span)),
        }
    }

    /// The columns a command returns, `None` if it returns none.
    pub(crate) fn utility_schema(&mut self, statement: &ParsedStatement) -> Result<Option<Schema>> {
        Ok(match &statement.statement.node {
            Node::Show(show) => Some(self.show_schema(&show.name)?),
            Node::Explain(explain) => Some(super::explain::schema(explain)?),
            Node::Execute(execute) => self.prepared(&execute.name)?.schema.clone(),
            Node::Fetch(fetch) if !fetch.is_move => self.portal(&fetch.cursor)?.schema.clone(),
            _ => None,
        })
    }

    // ---- settings ----

    fn set(&mut self, set: &SetStmt, client: &mut dyn Client) -> Result<()> {
        match &set.action {
            SetAction::Value { name, values } => {
                let value = set_value(name, values)?;
                self.set_setting(name, Some(&value), set.local, client)
            }
            SetAction::Default { name } | SetAction::Reset { name } => {
                self.set_setting(name, None, set.local, client)
            }
            SetAction::ResetAll => {
                Arc::make_mut(&mut self.settings).reset_all()?;
                for setting in settings::SETTINGS.iter().filter(|setting| setting.reported) {
                    client.parameter_status(setting.name, &self.settings.show(setting.name)?);
                }
                Ok(())
            }
            SetAction::Transaction(modes) => {
                if !self.transaction.in_block() {
                    let warning = Error::new(
                        SqlState::NO_ACTIVE_SQL_TRANSACTION,
                        "SET TRANSACTION can only be used in transaction blocks",
                    );
                    self.send_notice(client, Severity::Warning, &warning);
                    return Ok(());
                }
                self.set_transaction(modes)
            }
            SetAction::SessionCharacteristics(modes) => {
                for mode in modes {
                    let (name, value) = match mode {
                        TransactionMode::Isolation(level) => {
                            ("default_transaction_isolation", isolation_words(*level))
                        }
                        TransactionMode::ReadOnly(value) => ("default_transaction_read_only", on_off(*value)),
                        TransactionMode::Deferrable(value) => {
                            ("default_transaction_deferrable", on_off(*value))
                        }
                    };
                    self.set_setting(name, Some(value), false, client)?;
                }
                Ok(())
            }
            SetAction::FromCurrent { .. } => {
                Err(Error::syntax("SET … FROM CURRENT belongs into CREATE FUNCTION").at(set.span))
            }
            SetAction::Snapshot(_) => Err(Error::not_supported("SET TRANSACTION SNAPSHOT").at(set.span)),
        }
    }

    /// SET name, with what hangs on it: the client's view, the transaction's own settings.
    pub(crate) fn set_setting(
        &mut self,
        name: &str,
        value: Option<&str>,
        local: bool,
        client: &mut dyn Client,
    ) -> Result<()> {
        match (name.to_ascii_lowercase().as_str(), value) {
            ("transaction_isolation", Some(value)) => {
                let level = match value.to_ascii_lowercase().as_str() {
                    "read uncommitted" => parser::ast::IsolationLevel::ReadUncommitted,
                    "read committed" => parser::ast::IsolationLevel::ReadCommitted,
                    "repeatable read" => parser::ast::IsolationLevel::RepeatableRead,
                    "serializable" => parser::ast::IsolationLevel::Serializable,
                    _ => {
                        return Err(Error::new(
                            SqlState::INVALID_PARAMETER_VALUE,
                            format!("invalid value for parameter \"transaction_isolation\": \"{value}\""),
                        ));
                    }
                };
                return self.set_transaction(&[TransactionMode::Isolation(level)]);
            }
            ("transaction_read_only", Some(value)) => {
                let value = settings::parse_bool(value).ok_or_else(|| {
                    Error::new(
                        SqlState::INVALID_PARAMETER_VALUE,
                        "parameter \"transaction_read_only\" requires a Boolean value",
                    )
                })?;
                return self.set_transaction(&[TransactionMode::ReadOnly(value)]);
            }
            ("transaction_deferrable", Some(value)) => {
                let value = settings::parse_bool(value).ok_or_else(|| {
                    Error::new(
                        SqlState::INVALID_PARAMETER_VALUE,
                        "parameter \"transaction_deferrable\" requires a Boolean value",
                    )
                })?;
                return self.set_transaction(&[TransactionMode::Deferrable(value)]);
            }
            _ => {}
        }
        if local && !self.transaction.in_block() {
            let warning = Error::new(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                "SET LOCAL can only be used in transaction blocks",
            );
            self.send_notice(client, Severity::Warning, &warning);
        }
        self.check_role_setting(name, value)?;
        if let Some(setting) = settings::find(name)
            && setting.context == settings::Context::Superuser
            && !self.current_role().superuser
        {
            return Err(Error::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("permission denied to set parameter \"{}\"", setting.name),
            ));
        }
        let is_session = name.eq_ignore_ascii_case("session_authorization");
        let value = match value {
            None if is_session => Some(self.login.name.clone()),
            other => other.map(str::to_string),
        };
        let reported = Arc::make_mut(&mut self.settings).set(name, value.as_deref(), local)?;
        if is_session || name.eq_ignore_ascii_case("role") {
            if is_session {
                Arc::make_mut(&mut self.settings).set("role", None, local)?;
            }
            if self.note_identity(local)? {
                client.parameter_status("is_superuser", &self.settings.show("is_superuser")?);
            }
        }
        if let Some(name) = reported {
            let value = self.settings.show(name)?;
            if name == "application_name" {
                self.handle.activity.lock().application_name.clone_from(&value);
            }
            client.parameter_status(name, &value);
        }
        Ok(())
    }

    fn show_value(&self, name: &str) -> Result<String> {
        match name {
            "transaction_isolation" => Ok(self.isolation_name().to_string()),
            "transaction_read_only" => Ok(on_off(self.is_read_only()).to_string()),
            "transaction_deferrable" => Ok(on_off(self.is_deferrable()).to_string()),
            _ => self.settings.show(name),
        }
    }

    fn show_schema(&self, name: &str) -> Result<Schema> {
        if name == "all" {
            let names = ["name", "setting", "description"];
            return Ok(Schema {
                fields: names.iter().map(|name| Field::new(*name, DataType::TEXT)).collect(),
            });
        }
        let name = match settings::find(name) {
            Some(setting) => setting.name.to_string(),
            None => {
                self.settings.show(name)?;
                name.to_string()
            }
        };
        Ok(Schema { fields: vec![Field::new(name, DataType::TEXT)] })
    }

    fn show(&self, name: &str, formats: &[Format], describe: bool, client: &mut dyn Client) -> Result<()> {
        let schema = self.show_schema(name)?;
        let mut rows = Vec::new();
        if name == "all" {
            for setting in settings::SETTINGS {
                rows.push(vec![
                    setting.name.to_string(),
                    self.show_value(setting.name)?,
                    setting.description.to_string(),
                ]);
            }
        } else {
            rows.push(vec![self.show_value(name)?]);
        }
        self.send_text_rows(&schema, rows, formats, describe, client)
    }

    /// Sends rows of text columns.
    pub(crate) fn send_text_rows(
        &self,
        schema: &Schema,
        rows: Vec<Vec<String>>,
        formats: &[Format],
        describe: bool,
        client: &mut dyn Client,
    ) -> Result<()> {
        let formats = super::portal::result_formats(
            &formats.iter().map(|format| *format as i16).collect::<Vec<_>>(),
            schema.fields.len(),
        )?;
        if describe {
            client.row_description(schema, &formats);
        }
        let len = rows.len();
        let mut builders: Vec<VectorBuilder> =
            schema.fields.iter().map(|field| VectorBuilder::new(field.data_type.physical, len)).collect();
        for row in rows {
            for (builder, text) in builders.iter_mut().zip(row) {
                builder.push(&Value::text(text));
            }
        }
        let columns = builders.into_iter().map(|builder| Arc::new(builder.finish())).collect();
        client.rows(&Batch::new(columns, len), schema, &formats, &self.settings.derived().text)
    }

    fn discard(&mut self, target: DiscardTarget, client: &mut dyn Client) -> Result<()> {
        match target {
            DiscardTarget::All => {
                self.check_outside_block("DISCARD ALL")?;
                self.portals.clear();
                Arc::make_mut(&mut self.prepared).clear();
                self.current_transaction()?;
                self.pending.lock().listening.push(Listening::EndAll);
                let reset =
                    SetStmt { local: false, action: SetAction::ResetAll, span: types::Span::default() };
                self.set_setting("session_authorization", None, false, client)?;
                self.set(&reset, client)?;
                *self.drawn.lock() = super::Drawn::default();
                self.advisory.unlock_all();
                Ok(())
            }
            // Plans are shared by all sessions and checked before each use, and temporary tables cannot be made:
            // there is nothing to drop.
            DiscardTarget::Plans | DiscardTarget::Temp => Ok(()),
            DiscardTarget::Sequences => {
                *self.drawn.lock() = super::Drawn::default();
                Ok(())
            }
        }
    }

    // ---- upkeep ----

    /// ANALYZE; VACUUM has nothing to do here, and says so.
    fn vacuum(
        &mut self,
        vacuum: &VacuumStmt,
        statement: &ParsedStatement,
        client: &mut dyn Client,
    ) -> Result<String> {
        if !vacuum.is_vacuum {
            return self.run_ddl(statement, client);
        }
        self.check_outside_block("VACUUM")?;
        let notice = Error::new(
            SqlState::SUCCESSFUL_COMPLETION,
            "there is nothing to vacuum: tables hold no dead rows",
        )
        .with_hint("Use ANALYZE to refresh the planner's statistics.");
        self.send_notice(client, Severity::Notice, &notice);
        if vacuum.options.iter().any(|option| option.name == "analyze") {
            let analyze = VacuumStmt { is_vacuum: false, options: Vec::new(), ..vacuum.clone() };
            let inner =
                parser::Statement { node: Node::Vacuum(Box::new(analyze)), span: statement.statement.span };
            self.run_ddl(&ParsedStatement::new(inner, &statement.query_text), client)?;
        }
        Ok("VACUUM".to_string())
    }
}

/// The text of a SET's value: several are a list, names quoted where they must be.
fn set_value(name: &str, values: &[SetValue]) -> Result<String> {
    let quote = name == "search_path" || name == "datestyle";
    let mut texts = Vec::with_capacity(values.len());
    for value in values {
        texts.push(match value {
            SetValue::String(text) if quote && name == "search_path" => quote_name(text),
            SetValue::String(text) => text.clone(),
            SetValue::Integer(number) => number.to_string(),
            SetValue::Numeric(text) => text.clone(),
            SetValue::Interval(_) => {
                return Err(Error::not_supported("SET TIME ZONE INTERVAL")
                    .with_hint("Give the offset as text: SET TIME ZONE '+02:00'."));
            }
        });
    }
    if texts.len() > 1 && !quote {
        return Err(Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("SET {name} takes only one argument"),
        ));
    }
    Ok(texts.join(", "))
}

/// `name` as a list of names shows it.
pub(crate) fn quote_name(name: &str) -> String {
    let plain = !name.is_empty()
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    if plain { name.to_string() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

fn on_off(value: bool) -> &'static str {
    if value { "on" } else { "off" }
}

fn isolation_words(level: parser::ast::IsolationLevel) -> &'static str {
    match level {
        parser::ast::IsolationLevel::ReadUncommitted => "read uncommitted",
        parser::ast::IsolationLevel::ReadCommitted => "read committed",
        parser::ast::IsolationLevel::RepeatableRead => "repeatable read",
        parser::ast::IsolationLevel::Serializable => "serializable",
    }
}
