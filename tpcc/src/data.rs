//! The population (4.3.3) as COPY text, a chunk at a time.
//!
//! Called by `load.rs` on a thread of its own. A row depends on the seed and on its key only through the
//! table's own stream of chance, so every server gets the same bytes. Memory is one chunk, whatever the scale.

use std::ops::ControlFlow;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::chance::{Chance, last_name};
use crate::decimal::Decimal;
use crate::scale::{DISTRICTS, Scale};
use crate::schema::Table;

/// A chunk is sent once it holds at least this many bytes.
const CHUNK_BYTES: usize = 64 << 10;

/// Some whole rows in COPY's text format.
#[derive(Debug, Clone)]
pub struct Chunk {
    pub bytes: Vec<u8>,
    pub rows: u64,
}

type Emit<'a> = dyn FnMut(Chunk) -> ControlFlow<()> + 'a;

/// Makes every row of `table` and hands them to `emit` in key order, until it breaks.
pub fn generate(table: Table, scale: &Scale, seed: u64, emit: &mut Emit<'_>) {
    let chunk = Chunk { bytes: Vec::with_capacity(CHUNK_BYTES + 1024), rows: 0 };
    let now = timestamp(SystemTime::now());
    let mut rows = Rows { chance: Chance::new(seed, table as u64), chunk, now, first: true, emit };
    // A break means that nobody reads any more; there is nothing left to do then.
    let _ = match table {
        Table::Item => rows.items(scale),
        Table::Warehouse => rows.warehouses(scale),
        Table::Stock => rows.stock(scale),
        Table::District => rows.districts(scale),
        Table::Customer => rows.customers(scale),
        Table::History => rows.history(scale),
        Table::Orders => rows.orders(scale, seed),
        Table::OrderLine => rows.order_lines(scale, seed),
        Table::NewOrder => rows.new_orders(scale),
    }
    .map_continue(|()| rows.flush());
}

/// Appends fields and rows, and passes full chunks on.
struct Rows<'a, 'b> {
    chance: Chance,
    chunk: Chunk,
    /// The load's time: rows that carry one all carry the same.
    now: String,
    first: bool,
    emit: &'a mut Emit<'b>,
}

impl Rows<'_, '_> {
    fn items(&mut self, scale: &Scale) -> ControlFlow<()> {
        for item in 1..=scale.items {
            self.number(item);
            self.random(1, 10_000);
            self.letters(14, 24);
            self.decimal(100, 10_000, 2);
            self.data();
            self.end()?;
        }
        ControlFlow::Continue(())
    }

    fn warehouses(&mut self, scale: &Scale) -> ControlFlow<()> {
        for warehouse in 1..=scale.warehouses {
            self.number(warehouse);
            self.letters(6, 10);
            self.address();
            self.decimal(0, 2_000, 4);
            self.text(&paid(scale.customers * DISTRICTS));
            self.end()?;
        }
        ControlFlow::Continue(())
    }

    fn stock(&mut self, scale: &Scale) -> ControlFlow<()> {
        for warehouse in 1..=scale.warehouses {
            for item in 1..=scale.items {
                self.number(warehouse);
                self.number(item);
                self.random(10, 100);
                for _ in 0..DISTRICTS {
                    self.letters(24, 24);
                }
                for _ in ["s_ytd", "s_order_cnt", "s_remote_cnt"] {
                    self.number(0);
                }
                self.data();
                self.end()?;
            }
        }
        ControlFlow::Continue(())
    }

    fn districts(&mut self, scale: &Scale) -> ControlFlow<()> {
        for (warehouse, district) in districts(scale) {
            self.number(warehouse);
            self.number(district);
            self.letters(6, 10);
            self.address();
            self.decimal(0, 2_000, 4);
            self.text(&paid(scale.customers));
            self.number(scale.customers + 1);
            self.end()?;
        }
        ControlFlow::Continue(())
    }

    fn customers(&mut self, scale: &Scale) -> ControlFlow<()> {
        for (warehouse, district) in districts(scale) {
            for customer in 1..=scale.customers {
                self.number(warehouse);
                self.number(district);
                self.number(customer);
                self.letters(8, 16);
                self.text("OE");
                // Every name occurs at least once.
                let names = scale.last_names();
                let name = match customer {
                    1..=1_000 => last_name(customer - 1),
                    _ => self.chance.last_name_to_load(names),
                };
                self.text(&name);
                self.address();
                self.field();
                self.chance.digits(16, 16, &mut self.chunk.bytes);
                self.now();
                let bad = self.chance.percent(10);
                self.text(if bad { "BC" } else { "GC" });
                self.text("50000.00");
                self.decimal(0, 5_000, 4);
                self.text("-10.00");
                self.text("10.00");
                self.number(1);
                self.number(0);
                self.letters(300, 500);
                self.end()?;
            }
        }
        ControlFlow::Continue(())
    }

    fn history(&mut self, scale: &Scale) -> ControlFlow<()> {
        for (warehouse, district) in districts(scale) {
            for customer in 1..=scale.customers {
                self.number(customer);
                for _ in ["the customer's", "where it was paid"] {
                    self.number(district);
                    self.number(warehouse);
                }
                self.now();
                self.text("10.00");
                self.letters(12, 24);
                self.end()?;
            }
        }
        ControlFlow::Continue(())
    }

    fn orders(&mut self, scale: &Scale, seed: u64) -> ControlFlow<()> {
        for (warehouse, district) in districts(scale) {
            let customers = self.chance.permutation(scale.customers);
            let mut counts = line_counts(seed, warehouse, district);
            for (order, customer) in (1..).zip(customers) {
                self.number(warehouse);
                self.number(district);
                self.number(order);
                self.number(customer);
                self.now();
                if order <= scale.delivered() {
                    self.random(1, 10);
                } else {
                    self.text("\\N");
                }
                self.number(counts.within(5, 15));
                self.number(1);
                self.end()?;
            }
        }
        ControlFlow::Continue(())
    }

    fn order_lines(&mut self, scale: &Scale, seed: u64) -> ControlFlow<()> {
        for (warehouse, district) in districts(scale) {
            let mut counts = line_counts(seed, warehouse, district);
            for order in 1..=scale.customers {
                let delivered = order <= scale.delivered();
                for line in 1..=counts.within(5, 15) {
                    self.number(warehouse);
                    self.number(district);
                    self.number(order);
                    self.number(line);
                    self.random(1, scale.items);
                    self.number(warehouse);
                    if delivered {
                        self.now();
                    } else {
                        self.text("\\N");
                    }
                    self.number(5);
                    if delivered {
                        self.text("0.00");
                    } else {
                        self.decimal(1, 999_999, 2);
                    }
                    self.letters(24, 24);
                    self.end()?;
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn new_orders(&mut self, scale: &Scale) -> ControlFlow<()> {
        for (warehouse, district) in districts(scale) {
            for order in scale.delivered() + 1..=scale.customers {
                self.number(warehouse);
                self.number(district);
                self.number(order);
                self.end()?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Two streets, a city, a state and a zip code (4.3.2.7).
    fn address(&mut self) {
        for _ in ["street_1", "street_2", "city"] {
            self.letters(10, 20);
        }
        self.letters(2, 2);
        self.field();
        self.chance.digits(4, 4, &mut self.chunk.bytes);
        self.chunk.bytes.extend_from_slice(b"11111");
    }

    /// `i_data` and `s_data`: in a tenth of the rows, ORIGINAL stands somewhere in it (4.3.3.1).
    fn data(&mut self) {
        self.field();
        let start = self.chunk.bytes.len();
        self.chance.letters(26, 50, &mut self.chunk.bytes);
        if self.chance.percent(10) {
            let length = self.chunk.bytes.len() - start;
            let at = start + self.chance.within(0, length as i32 - 8) as usize;
            self.chunk.bytes[at..at + 8].copy_from_slice(b"ORIGINAL");
        }
    }

    fn field(&mut self) {
        if !self.first {
            self.chunk.bytes.push(b'\t');
        }
        self.first = false;
    }

    /// No value of the population holds a tab or a backslash, so nothing needs escaping.
    fn text(&mut self, text: &str) {
        self.field();
        self.chunk.bytes.extend_from_slice(text.as_bytes());
    }

    fn number(&mut self, number: i32) {
        self.text(&number.to_string());
    }

    fn now(&mut self) {
        self.field();
        self.chunk.bytes.extend_from_slice(self.now.as_bytes());
    }

    fn random(&mut self, low: i32, high: i32) {
        let number = self.chance.within(low, high);
        self.number(number);
    }

    fn decimal(&mut self, low: i32, high: i32, scale: u8) {
        let number = self.chance.decimal(low, high, scale);
        self.text(&number.to_string());
    }

    fn letters(&mut self, low: i32, high: i32) {
        self.field();
        self.chance.letters(low, high, &mut self.chunk.bytes);
    }

    fn end(&mut self) -> ControlFlow<()> {
        self.chunk.bytes.push(b'\n');
        self.chunk.rows += 1;
        self.first = true;
        if self.chunk.bytes.len() < CHUNK_BYTES {
            return ControlFlow::Continue(());
        }
        let full = Chunk { bytes: Vec::with_capacity(CHUNK_BYTES + 1024), rows: 0 };
        (self.emit)(std::mem::replace(&mut self.chunk, full))
    }

    fn flush(self) {
        if self.chunk.rows > 0 {
            let _ = (self.emit)(self.chunk);
        }
    }
}

fn districts(scale: &Scale) -> impl Iterator<Item = (i32, i32)> {
    (1..=scale.warehouses).flat_map(|w| (1..=DISTRICTS).map(move |d| (w, d)))
}

/// What a population of customers has paid: 10.00 each, in a row of history.
fn paid(customers: i32) -> String {
    Decimal::cents(i64::from(customers) * 1_000).to_string()
}

/// The orders and their lines are made at different times, and must agree on `o_ol_cnt`.
fn line_counts(seed: u64, warehouse: i32, district: i32) -> Chance {
    Chance::new(seed, 1_000 + (warehouse * DISTRICTS + district) as u64)
}

/// A timestamp in UTC, as COPY text.
fn timestamp(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // Howard Hinnant's days-to-civil: eras of 400 years that begin on 1 March.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn lines(table: Table, scale: &Scale) -> Vec<Vec<String>> {
        let mut text = Vec::new();
        let mut rows = 0;
        generate(table, scale, 7, &mut |chunk| {
            rows += chunk.rows;
            text.extend(chunk.bytes);
            ControlFlow::Continue(())
        });
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text.lines().count() as u64, rows);
        text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
    }

    #[test]
    fn every_table_has_its_rows_and_columns() {
        let scale = Scale::tiny(2);
        for table in Table::ALL {
            let columns = table.create().lines().filter(|l| l.starts_with("    ") && !l.contains("key"));
            let columns = columns.count();
            let rows = lines(table, &scale);
            assert!(rows.iter().all(|row| row.len() == columns), "{table:?} has {columns} columns");
            if table == Table::OrderLine {
                assert!((10_000..14_000).contains(&rows.len()), "{}", rows.len());
            } else {
                assert_eq!(rows.len() as u64, table.rows(&scale), "{table:?}");
            }
        }
    }

    #[test]
    fn orders_have_the_lines_they_claim() {
        let scale = Scale::tiny(1);
        let claimed: usize =
            lines(Table::Orders, &scale).iter().map(|row| row[6].parse::<usize>().unwrap()).sum();
        assert_eq!(lines(Table::OrderLine, &scale).len(), claimed);
    }

    #[test]
    fn a_tenth_is_original_and_of_bad_credit() {
        let scale = Scale { items: 20_000, ..Scale::full(1) };
        let original = lines(Table::Item, &scale).iter().filter(|row| row[4].contains("ORIGINAL")).count();
        assert!((1_800..2_200).contains(&original), "{original}");
        let scale = Scale { customers: 1_500, ..Scale::full(1) };
        let customers = lines(Table::Customer, &scale);
        let bad = customers.iter().filter(|row| row[13] == "BC").count();
        assert!((1_300..1_700).contains(&bad), "{bad}");
        assert_eq!(customers[371][5], "PRICALLYOUGHT");
    }

    #[test]
    fn sums_are_the_specifications() {
        assert_eq!(paid(3_000), "30000.00");
        assert_eq!(paid(3_000 * DISTRICTS), "300000.00");
    }

    #[test]
    fn timestamps_are_civil() {
        let at = |seconds| timestamp(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01 00:00:00");
        assert_eq!(at(951_782_399), "2000-02-28 23:59:59");
        assert_eq!(at(951_782_400), "2000-02-29 00:00:00");
        assert_eq!(at(1_709_251_199), "2024-02-29 23:59:59");
        assert_eq!(at(4_102_444_800), "2100-01-01 00:00:00");
    }
}
