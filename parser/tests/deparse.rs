//! What is printed reads as what it was printed from.

use parser::ast::Node;
use parser::{deparse, parse};

/// The tree as text, without the places, which printing moves.
fn shape(node: &Node) -> String {
    let mut text = format!("{node:?}");
    while let Some(from) = text.find("Span {") {
        let len = text[from..].find('}').map_or(text.len() - from, |at| at + 1);
        text.replace_range(from..from + len, "·");
    }
    text
}

fn corpus() -> Vec<String> {
    let mut out: Vec<String> = include_str!("../testdata/everyday.sql")
        .lines()
        .chain(include_str!("../testdata/expressions.sql").lines())
        .filter(|line| !line.is_empty() && !line.starts_with("--"))
        .map(str::to_string)
        .collect();
    let queries = concat!(env!("CARGO_MANIFEST_DIR"), "/../tpch/queries");
    let mut files: Vec<_> = std::fs::read_dir(queries).expect("TPC-H's queries").flatten().collect();
    files.sort_by_key(|file| file.path());
    for file in files {
        let mut text = std::fs::read_to_string(file.path()).expect("a query's text");
        // Placeholders of parameters: any number will do.
        while let (Some(from), Some(to)) = (text.find('{'), text.find('}')) {
            text.replace_range(from..=to, "1");
        }
        out.push(text);
    }
    out
}

#[test]
fn printed_statements_read_the_same() {
    let mut printed = 0;
    let mut failures = Vec::new();
    for text in corpus() {
        for statement in parse(&text).unwrap() {
            let Some(one_line) = deparse::statement(&statement.node) else { continue };
            let mut forms = vec![one_line];
            if let Node::Select(select) = &statement.node {
                forms.push(deparse::query(select));
            }
            for form in forms {
                let found = match parse(&form) {
                    Ok(again) => again.iter().map(|one| shape(&one.node)).collect(),
                    Err(e) => format!("{e:?}"),
                };
                let wanted = shape(&statement.node);
                if found != wanted {
                    let same = found.bytes().zip(wanted.bytes()).take_while(|(a, b)| a == b).count();
                    let part =
                        |text: &str| text.chars().skip(same.saturating_sub(60)).take(160).collect::<String>();
                    failures.push(format!("{text}\n{form}\n  {}\n  {}", part(&wanted), part(&found)));
                }
            }
            printed += 1;
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert!(printed > 150, "{printed}");
}

#[test]
fn layout_is_that_of_pg_get_viewdef() {
    for (text, layout) in [
        (
            "select a, b as c from t where a > 1 order by a desc limit 5",
            " SELECT a,\n    b AS c\n   FROM t\n  WHERE (a > 1)\n  ORDER BY a DESC\n LIMIT 5",
        ),
        (
            "select x.a from t x left join u on x.a = u.a, v group by x.a having count(*) > 1",
            " SELECT x.a\n   FROM (t x\n     LEFT JOIN u ON ((x.a = u.a))),\n    v\n  GROUP BY x.a\n HAVING (count(*) > 1)",
        ),
        ("select 1 union all select 2", " SELECT 1\nUNION ALL\n SELECT 2"),
        (
            "with c as (select 1 as one) select * from c",
            " WITH c AS (\n         SELECT 1 AS one\n        )\n SELECT *\n   FROM c",
        ),
        (
            "select case when a then 1 else 2 end from (select 1 as a) s",
            " SELECT\n        CASE\n            WHEN a THEN 1\n            ELSE 2\n        END\n   FROM ( SELECT 1 AS a) s",
        ),
    ] {
        let statements = parse(text).unwrap();
        let Node::Select(select) = &statements[0].node else { panic!("{text}") };
        assert_eq!(deparse::query(select), layout, "{text}");
    }
    for (text, line) in [
        ("a+1>2 and not b", "(((a + 1) > 2) AND (NOT b))"),
        ("x in (1,2) or y is null", "((x IN (1, 2)) OR (y IS NULL))"),
        ("-2 ^ 2", "((-2) ^ 2)"),
        ("lower(a)::varchar(3)", "(lower(a))::character varying(3)"),
        ("case a when 1 then 'x' end", "CASE a WHEN 1 THEN 'x' END"),
        ("interval '1' day + \"A\"", "(interval '1' day + \"A\")"),
    ] {
        assert_eq!(deparse::expr(&parser::parse_expr(text).unwrap()), line);
    }
}
