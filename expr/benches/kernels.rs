//! The hot kernels, over one batch: `cargo bench -p expr`.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use expr::{Accumulator, Coercer, EvalContext, Expr};
use types::{BATCH_SIZE, Batch, Data, DataType, Span, Validity, Vector};

fn column(data: Data) -> Arc<Vector> {
    Arc::new(Vector::flat(data, Validity::all()))
}

/// date, price, discount, comment: what lineitem has.
fn batch() -> Batch {
    let rows = 0..BATCH_SIZE as i64;
    let words = ["special", "final", "requests", "packages", "deposits", "carefully"];
    let comment = |row: i64| {
        (0..7).map(|word| words[(row * 7 + word * 5) as usize % words.len()]).collect::<Vec<_>>().join(" ")
    };
    let decimal =
        |f: fn(i64) -> i64| Data::Decimal { scale: 2, values: (0..BATCH_SIZE as i64).map(f).collect() };
    Batch::new(
        vec![
            column(Data::Int32(rows.clone().map(|row| (row * 37 % 2500 - 3000) as i32).collect())),
            column(decimal(|row| 90_000 + row * 977 % 10_000_000)),
            column(decimal(|row| row % 11)),
            column(Data::Text(rows.map(comment).collect())),
        ],
        BATCH_SIZE,
    )
}

const PRICE: fn() -> Expr = || Expr::input(1, DataType::NUMERIC);
const DISCOUNT: fn() -> Expr = || Expr::input(2, DataType::NUMERIC);

fn kernels(criterion: &mut Criterion) {
    let cx = EvalContext::default();
    let c = Coercer::new(&cx, Vec::new());
    let batch = batch();
    let at = Span::default();
    let text = |text: &str| Expr::unknown(Some(text), at);
    let numeric = |value: &str| c.cast(text(value), DataType::NUMERIC, at).expect("a number");
    let op =
        |symbol: &str, left: Expr, right: Expr| c.operator(symbol, Some(left), right, at).expect("typed");
    let mut group = criterion.benchmark_group("batch");
    group.throughput(Throughput::Elements(BATCH_SIZE as u64));

    let taxed = op("*", PRICE(), op("-", numeric("1"), DISCOUNT()));
    group.bench_function("price * (1 - discount)", |b| {
        b.iter(|| expr::eval(black_box(&taxed), &batch, &cx).expect("fits"));
    });
    let q6 = Expr::and([
        op(">=", Expr::input(0, DataType::DATE), text("1994-01-01")),
        op("<", Expr::input(0, DataType::DATE), text("1995-01-01")),
        op(">=", DISCOUNT(), numeric("0.05")),
        op("<=", DISCOUNT(), numeric("0.07")),
    ]);
    group.bench_function("Q6's conditions", |b| {
        b.iter(|| expr::eval_predicate(black_box(&q6), &batch, &cx).expect("infallible"));
    });
    let like = op("~~", Expr::input(3, DataType::TEXT), text("%special%requests%"));
    group.bench_function("LIKE %special%requests%", |b| {
        b.iter(|| expr::eval_predicate(black_box(&like), &batch, &cx).expect("infallible"));
    });
    let field = Expr::literal(types::Value::text("year"), DataType::TEXT);
    let year = c.call("extract", vec![field, Expr::input(0, DataType::DATE)], at).expect("typed");
    group.bench_function("extract(year)", |b| {
        b.iter(|| expr::eval(black_box(&year), &batch, &cx).expect("infallible"));
    });
    let sum = c.function("sum", vec![PRICE()], false, at).expect("sum(numeric)");
    let groups: Vec<u32> = (0..BATCH_SIZE as u32).map(|row| row % 4).collect();
    let make = || -> Box<dyn Accumulator> {
        let mut sum = sum.function.accumulator(&[DataType::NUMERIC], DataType::NUMERIC).expect("sum");
        sum.resize(4);
        sum
    };
    let prices = [Arc::clone(batch.column(1))];
    let mut one = make();
    group.bench_function("sum, one group", |b| {
        b.iter(|| one.update_all(black_box(&prices), BATCH_SIZE, &cx).expect("fits"));
    });
    let mut four = make();
    group.bench_function("sum, four groups", |b| {
        b.iter(|| four.update(black_box(&groups), &prices, &cx).expect("fits"));
    });
    group.finish();
}

criterion_group!(benches, kernels);
criterion_main!(benches);
