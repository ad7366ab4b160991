//! Subqueries that stay subqueries: init plans run once, the others run for distinct outer values.

use expr::{ColumnId, Expr, Subquery, SubqueryId, SubqueryKind};
use types::{Error, Result};

use super::lower::Lowering;
use super::plan::{SubPlan, SubPlanKind};

impl Lowering<'_> {
    /// What stands for `subquery` in an expression over an input with these columns.
    pub(super) fn sub_plan(&mut self, subquery: &Subquery, columns: &[ColumnId]) -> Result<Expr> {
        if let Some(parameter) = self.init_plans.get(&subquery.id) {
            return Ok(parameter.clone());
        }
        let subqueries = self.subqueries;
        let bound = subqueries
            .iter()
            .find(|bound| bound.id == subquery.id)
            .ok_or_else(|| Error::internal("a subquery has no plan"))?;
        let outer: Vec<ColumnId> = crate::rewrite::free::free_columns(&bound.plan, subqueries);
        let mut parameters = Vec::new();
        let mut arguments = Vec::new();
        let mut shadowed = Vec::new();
        for id in outer {
            let data_type = self.columns.entry(id).data_type;
            arguments.push(self.column(id, data_type, columns)?);
            let parameter = self.new_parameter();
            parameters.push(parameter);
            shadowed.push((id, self.outer.insert(id, parameter)));
        }
        let built = self.lower_exactly(&bound.plan);
        for (id, old) in shadowed {
            match old {
                Some(old) => self.outer.insert(id, old),
                None => self.outer.remove(&id),
            };
        }
        let built = built?;
        let kind = match subquery.kind {
            SubqueryKind::Scalar => SubPlanKind::Scalar,
            SubqueryKind::Exists => SubPlanKind::Exists,
            SubqueryKind::Any => SubPlanKind::Any,
            SubqueryKind::All => SubPlanKind::All,
            SubqueryKind::Array => SubPlanKind::Array,
            SubqueryKind::Row => SubPlanKind::Row,
        };
        let tests = self.exprs(&subquery.tests, columns)?;
        let result = self.new_parameter();
        let mut sub_plan =
            SubPlan { node: built.node.into(), kind, parameters, arguments, result, label: String::new() };
        let index = self.sub_plans.len();
        let is_init_plan = sub_plan.is_init_plan();
        let number = index + 1;
        sub_plan.label = if is_init_plan {
            format!("InitPlan {number} (returns ${})", result.0)
        } else {
            format!("SubPlan {number}")
        };
        self.sub_plans.push(sub_plan);
        if is_init_plan {
            let parameter = Expr::PlanParameter { id: result, data_type: subquery.data_type };
            self.init_plans.insert(subquery.id, parameter.clone());
            return Ok(parameter);
        }
        let id = SubqueryId(u32::try_from(index).map_err(|_| Error::internal("too many sub-plans"))?);
        Ok(Expr::Subquery(Box::new(Subquery {
            id,
            kind: subquery.kind,
            tests,
            operators: subquery.operators.clone(),
            data_type: subquery.data_type,
            location: subquery.location,
        })))
    }
}
