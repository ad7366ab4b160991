//! The 22 queries with the specification's validation parameters.
//!
//! Called by `run.rs`. The texts lie in `queries/`, one file each. They are the specification's, with the
//! "first n rows" of 2.1.2.9 written as LIMIT and the leading precision left out of Q1's interval, as
//! PostgreSQL asks. Q15 is the view form; its view gets a name of its own for each run.

/// One of the 22.
#[derive(Debug, Clone, Copy)]
pub struct Query {
    pub number: usize,
    pub title: &'static str,
    pub(crate) select: &'static str,
    pub(crate) create: Option<&'static str>,
    pub(crate) drop: Option<&'static str>,
    /// Positions of the ORDER BY columns in the result, the major one first.
    pub order: &'static [usize],
    /// The LIMIT, where there is one.
    pub limit: Option<usize>,
}

/// The statements of one execution. All three are timed; the rows are those of `select`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statements {
    pub create: Option<String>,
    pub select: String,
    pub drop: Option<String>,
}

impl Query {
    /// The statements for data of this scale. `execution` makes the name of Q15's view unique.
    pub fn statements(&self, scale: f64, execution: u64) -> Statements {
        let view = format!("_{}_{execution}", std::process::id());
        let fraction = fraction(scale);
        let fill = |text: &str| text.trim_end().replace("{view}", &view).replace("{fraction}", &fraction);
        Statements { create: self.create.map(fill), select: fill(self.select), drop: self.drop.map(fill) }
    }
}

/// Q11's parameter: 0.0001 divided by the scale (2.4.11.3), as a plain decimal.
fn fraction(scale: f64) -> String {
    let text = format!("{:.14}", 0.0001 / scale);
    text.trim_end_matches('0').to_owned()
}

macro_rules! query {
    ($number:literal, $file:literal, $title:literal, $order:expr, $limit:expr) => {
        Query {
            number: $number,
            title: $title,
            select: include_str!(concat!("../queries/", $file, ".sql")),
            create: None,
            drop: None,
            order: &$order,
            limit: $limit,
        }
    };
}

/// All of them, in order: `QUERIES[n - 1]` is Qn.
pub const QUERIES: [Query; 22] = [
    query!(1, "q01", "pricing summary report", [0, 1], None),
    query!(2, "q02", "minimum cost supplier", [0, 2, 1, 3], Some(100)),
    query!(3, "q03", "shipping priority", [1, 2], Some(10)),
    query!(4, "q04", "order priority checking", [0], None),
    query!(5, "q05", "local supplier volume", [1], None),
    query!(6, "q06", "forecasting revenue change", [], None),
    query!(7, "q07", "volume shipping", [0, 1, 2], None),
    query!(8, "q08", "national market share", [0], None),
    query!(9, "q09", "product type profit measure", [0, 1], None),
    query!(10, "q10", "returned item reporting", [2], Some(20)),
    query!(11, "q11", "important stock identification", [1], None),
    query!(12, "q12", "shipping modes and order priority", [0], None),
    query!(13, "q13", "customer distribution", [1, 0], None),
    query!(14, "q14", "promotion effect", [], None),
    Query {
        create: Some(include_str!("../queries/q15_create.sql")),
        drop: Some(include_str!("../queries/q15_drop.sql")),
        ..query!(15, "q15", "top supplier", [0], None)
    },
    query!(16, "q16", "parts/supplier relationship", [3, 0, 1, 2], None),
    query!(17, "q17", "small-quantity-order revenue", [], None),
    query!(18, "q18", "large volume customer", [4, 3], Some(100)),
    query!(19, "q19", "discounted revenue", [], None),
    query!(20, "q20", "potential part promotion", [0], None),
    query!(21, "q21", "suppliers who kept orders waiting", [1, 0], Some(100)),
    query!(22, "q22", "global sales opportunity", [0], None),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_positions() {
        for (i, query) in QUERIES.iter().enumerate() {
            assert_eq!(query.number, i + 1);
        }
    }

    #[test]
    fn texts_have_no_open_parameters_and_agree_with_limit_and_order() {
        for query in &QUERIES {
            let texts = query.statements(0.01, 7);
            for text in
                [Some(&texts.select), texts.create.as_ref(), texts.drop.as_ref()].into_iter().flatten()
            {
                assert!(!text.contains(['{', '}', ':', ';']), "Q{}: {text}", query.number);
            }
            let limit =
                texts.select.lines().last().unwrap().strip_prefix("limit ").map(|n| n.parse().unwrap());
            assert_eq!(limit, query.limit, "Q{}", query.number);
            let order = texts.select.rsplit_once("order by").map_or(0, |(_, order)| order.split(',').count());
            assert_eq!(order, query.order.len(), "Q{}", query.number);
        }
    }

    #[test]
    fn fraction_follows_the_scale() {
        assert_eq!(fraction(1.0), "0.0001");
        assert_eq!(fraction(0.01), "0.01");
        assert_eq!(fraction(100.0), "0.000001");
        assert!(QUERIES[10].statements(0.1, 0).select.contains("* 0.001\n"));
    }

    #[test]
    fn views_are_named_apart() {
        let (a, b) = (QUERIES[14].statements(1.0, 1), QUERIES[14].statements(1.0, 2));
        assert_ne!(a.create, b.create);
        assert!(a.select.contains(a.drop.unwrap().strip_prefix("drop view ").unwrap()));
    }
}
