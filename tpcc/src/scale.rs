//! How much there is of everything.
//!
//! Called by everyone who draws a number or counts rows. One warehouse of the specification is [`Scale::full`];
//! [`Scale::tiny`] keeps every rule and proportion but is no TPC-C: it is there to test with.

/// Districts of each warehouse; the schema's `s_dist_01` to `s_dist_10` fix it.
pub const DISTRICTS: i32 = 10;

/// Sizes of the population (1.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    pub warehouses: i32,
    pub items: i32,
    /// Customers of each district, and its first orders: one for each customer.
    pub customers: i32,
}

impl Scale {
    pub fn full(warehouses: i32) -> Scale {
        Scale { warehouses, items: 100_000, customers: 3_000 }
    }

    pub fn tiny(warehouses: i32) -> Scale {
        Scale { warehouses, items: 1_000, customers: 60 }
    }

    /// Of each district's first orders, how many have been delivered: 2,100 of 3,000.
    pub fn delivered(&self) -> i32 {
        self.customers / 10 * 7
    }

    /// How many last names the customers have: 1,000, and fewer only where there are fewer customers.
    pub fn last_names(&self) -> i32 {
        self.customers.min(1_000)
    }

    pub fn districts(&self) -> u64 {
        self.warehouses as u64 * DISTRICTS as u64
    }
}
