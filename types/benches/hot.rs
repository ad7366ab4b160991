//! The kernels that scans, loads and result sending spend their time in. `cargo bench -p types`.
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use types::hash::hash_vector;
use types::key::{KeyColumn, KeyLayout};
use types::row::{ColumnTest, Comparison, RowDecoder, RowLayout, RowPredicate};
use types::text::{push_text, write_vector_text};
use types::{Batch, DataType, Numeric, TextContext, Value, Vector};

const ROWS: usize = 1024;

/// Columns like lineitem's.
fn layout() -> Arc<RowLayout> {
    let decimal = DataType::numeric(15, 2).unwrap();
    let bpchar = |n: i32| DataType::BPCHAR.with_modifier(n + 4);
    Arc::new(RowLayout::new(&[
        DataType::INT8,
        DataType::INT4,
        DataType::INT4,
        decimal,
        decimal,
        decimal,
        bpchar(1),
        DataType::DATE,
        bpchar(25),
        DataType::VARCHAR.with_modifier(48),
    ]))
}

fn rows(layout: &RowLayout) -> Vec<Vec<u8>> {
    (0..ROWS)
        .map(|n| {
            let n = i32::try_from(n).unwrap();
            let decimal = |n: i32| Value::Numeric(Numeric::new(i128::from(n), 2));
            let row = [
                Value::Int64(i64::from(n) * 7),
                Value::Int32(n),
                Value::Int32(n % 13),
                decimal(n * 100),
                decimal(n * 317 + 5),
                decimal(n % 11),
                Value::text("N"),
                Value::Int32(-2000 + n),
                Value::text("DELIVER IN PERSON"),
                Value::text("carefully final deposits sleep"),
            ];
            let mut out = Vec::new();
            layout.encode(&row, &mut out).unwrap();
            out
        })
        .collect()
}

fn benches(c: &mut Criterion) {
    let layout = layout();
    let records = rows(&layout);
    let slices: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
    let mut group = c.benchmark_group("row");
    group.throughput(Throughput::Elements(ROWS as u64));
    for (name, projection) in [("4 fixed", vec![1, 3, 4, 7]), ("1 text", vec![8]), ("all", (0..10).collect())]
    {
        let decoder = RowDecoder::new(&layout, &projection);
        group.bench_function(format!("decode_many {name}"), |b| {
            b.iter(|| {
                let mut builders = decoder.builders(ROWS);
                decoder.decode_many(&slices, &mut builders).unwrap();
                builders
            });
        });
        group.bench_function(format!("decode one by one {name}"), |b| {
            b.iter(|| {
                let mut builders = decoder.builders(ROWS);
                for record in &slices {
                    decoder.decode(record, &mut builders).unwrap();
                }
                builders
            });
        });
    }
    let decoder = RowDecoder::new(&layout, &(0..10).collect::<Vec<_>>());
    let mut builders = decoder.builders(ROWS);
    decoder.decode_many(&slices, &mut builders).unwrap();
    let batch = Batch::new(builders.into_iter().map(|b| Arc::new(b.finish())).collect(), ROWS);
    group.bench_function("encode_batch_row", |b| {
        let mut out = Vec::new();
        b.iter(|| {
            for row in 0..ROWS {
                out.clear();
                layout.encode_batch_row(&batch, row, &mut out).unwrap();
            }
        });
    });
    let tests = [
        ("date <", 7, ColumnTest::Compare(Comparison::Less, Value::Int32(-1500))),
        ("text =", 8, ColumnTest::Compare(Comparison::Equal, Value::text("DELIVER IN PERSON"))),
    ];
    for (name, column, test) in tests {
        let predicate = RowPredicate::new(&layout, column, &test).unwrap();
        group.bench_function(format!("predicate {name}"), |b| {
            b.iter(|| slices.iter().filter(|record| predicate.matches(record).unwrap()).count());
        });
    }
    for (name, columns) in
        [("int8", vec![0]), ("int8 int4", vec![0, 2]), ("decimal", vec![4]), ("text", vec![8])]
    {
        let key = KeyLayout::new(columns.iter().map(|&c| KeyColumn::not_null(layout.types()[c])).collect());
        let vectors: Vec<&Vector> = columns.iter().map(|&c| &**batch.column(c)).collect();
        group.bench_function(format!("key {name}"), |b| {
            let mut out = Vec::new();
            b.iter(|| {
                out.clear();
                for row in 0..ROWS {
                    key.encode_vectors(&vectors, row, &mut out).unwrap();
                }
            });
        });
        group.bench_function(format!("hash {name}"), |b| {
            let mut hashes = vec![0; ROWS];
            b.iter(|| {
                hashes.fill(0);
                vectors.iter().for_each(|vector| hash_vector(vector, &mut hashes));
                black_box(hashes[7])
            });
        });
    }
    let cx = TextContext::default();
    for column in [0, 4, 7, 8, 9] {
        let data_type = layout.types()[column];
        let texts: Vec<Vec<u8>> = (0..ROWS)
            .map(|row| {
                let mut out = Vec::new();
                write_vector_text(batch.column(column), row, data_type, &cx, &mut out);
                out
            })
            .collect();
        group.bench_function(format!("push_text {data_type}"), |b| {
            b.iter(|| {
                let mut builder = layout.builder(column, ROWS);
                texts.iter().for_each(|text| push_text(&mut builder, data_type, text, &cx).unwrap());
                builder
            });
        });
        group.bench_function(format!("write_text {data_type}"), |b| {
            let mut out = Vec::new();
            b.iter(|| {
                out.clear();
                for row in 0..ROWS {
                    write_vector_text(batch.column(column), row, data_type, &cx, &mut out);
                }
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = hot;
    config = Criterion::default()
        .warm_up_time(std::time::Duration::from_millis(200))
        .measurement_time(std::time::Duration::from_millis(500))
        .sample_size(20);
    targets = benches
}
criterion_main!(hot);
