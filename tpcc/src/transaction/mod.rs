//! The five transactions of clause 2: what a terminal enters, and what the server is then asked.
//!
//! Called by `run.rs`. [`Input::draw`] makes the input once; [`attempt`] runs it, as often as the server says
//! 40001 or 40P01. What a commit stands for comes back as an [`Effect`], for the ledger.

pub mod session;

mod customer;

mod new_order;

mod payment;

mod order_status;

mod delivery;

mod stock_level;

pub use session::{Isolation, Session};

use crate::chance::Chance;
use crate::decimal::Decimal;
use crate::scale::{DISTRICTS, Scale};
use crate::{Error, Result};

/// Which of the five.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    NewOrder,
    Payment,
    OrderStatus,
    Delivery,
    StockLevel,
}

impl Kind {
    pub const ALL: [Kind; 5] =
        [Kind::NewOrder, Kind::Payment, Kind::OrderStatus, Kind::Delivery, Kind::StockLevel];

    pub fn name(self) -> &'static str {
        match self {
            Kind::NewOrder => "new order",
            Kind::Payment => "payment",
            Kind::OrderStatus => "order status",
            Kind::Delivery => "delivery",
            Kind::StockLevel => "stock level",
        }
    }

    /// Percent of all transactions (5.2.3).
    fn share(self) -> i32 {
        match self {
            Kind::NewOrder => 45,
            Kind::Payment => 43,
            Kind::OrderStatus | Kind::Delivery | Kind::StockLevel => 4,
        }
    }

    pub fn draw(chance: &mut Chance) -> Kind {
        let mut percent = chance.within(1, 100);
        for kind in Kind::ALL {
            percent -= kind.share();
            if percent <= 0 {
                return kind;
            }
        }
        Kind::StockLevel
    }

    /// Seconds to type the input (5.2.5.7).
    pub fn keying_seconds(self) -> f64 {
        match self {
            Kind::NewOrder => 18.0,
            Kind::Payment => 3.0,
            Kind::OrderStatus | Kind::Delivery | Kind::StockLevel => 2.0,
        }
    }

    /// Seconds to think about the output, on average (5.2.5.7).
    pub fn thinking_seconds(self) -> f64 {
        match self {
            Kind::NewOrder | Kind::Payment => 12.0,
            Kind::OrderStatus => 10.0,
            Kind::Delivery | Kind::StockLevel => 5.0,
        }
    }
}

/// Where a terminal stands (2.8.1.1): its warehouse, and the district whose stock level it asks for.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub warehouse: i32,
    pub district: i32,
}

/// How the customer is told: by number, or by last name, whose middle bearer (by first name) it is.
#[derive(Debug, Clone)]
enum Who {
    Id(i32),
    Name(String),
}

impl Who {
    /// 60 in a hundred by name (2.5.1.2, 2.6.1.2).
    fn draw(chance: &mut Chance, scale: &Scale) -> Who {
        if chance.percent(60) {
            Who::Name(chance.last_name_to_find(scale.last_names()))
        } else {
            Who::Id(chance.customer(scale.customers))
        }
    }
}

/// One transaction as it was entered.
#[derive(Debug, Clone)]
pub enum Input {
    NewOrder(new_order::Input),
    Payment(payment::Input),
    OrderStatus(order_status::Input),
    Delivery(delivery::Input),
    StockLevel(stock_level::Input),
}

impl Input {
    pub fn draw(kind: Kind, place: Place, scale: &Scale, chance: &mut Chance) -> Input {
        match kind {
            Kind::NewOrder => Input::NewOrder(new_order::Input::draw(place, scale, chance)),
            Kind::Payment => Input::Payment(payment::Input::draw(place, scale, chance)),
            Kind::OrderStatus => Input::OrderStatus(order_status::Input::draw(place, scale, chance)),
            Kind::Delivery => Input::Delivery(delivery::Input::draw(place, chance)),
            Kind::StockLevel => Input::StockLevel(stock_level::Input::draw(place, chance)),
        }
    }
}

/// What a committed transaction changed, as far as the ledger follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    Read,
    Order(Order),
    Payment { warehouse: i32, district: i32, amount: Decimal },
    Delivery(Vec<Delivered>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Order {
    pub warehouse: i32,
    pub district: i32,
    pub order: i32,
    pub customer: i32,
    pub lines: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    pub warehouse: i32,
    pub district: i32,
    pub order: i32,
    pub carrier: i32,
}

/// How one try ended.
pub enum Ending {
    Committed(Effect),
    /// As the input wanted it: an unused item number (2.4.1.4).
    RolledBack,
    /// Nothing was done.
    Failed(Error),
    /// The connection broke after COMMIT was sent: it may or may not have been done.
    Unknown(Effect, Error),
}

/// Runs the transaction once.
pub async fn attempt(session: &Session, input: &Input) -> Ending {
    let effect = match body(session, input).await {
        Ok(Some(effect)) => effect,
        Ok(None) => {
            return match session.rollback().await {
                Ok(()) => Ending::RolledBack,
                Err(error) => Ending::Failed(error),
            };
        }
        Err(error) if error.disconnected => return Ending::Failed(error),
        Err(error) => {
            // The first error is the one to tell, unless the session is no longer of use.
            return Ending::Failed(session.rollback().await.err().unwrap_or(error));
        }
    };
    match session.commit().await {
        Ok(()) => Ending::Committed(effect),
        Err(error) if error.disconnected => Ending::Unknown(effect, error),
        // A COMMIT that is refused has rolled back.
        Err(error) => Ending::Failed(error),
    }
}

/// From BEGIN up to COMMIT; `None` asks for the rollback that the input provokes.
async fn body(session: &Session, input: &Input) -> Result<Option<Effect>> {
    session.begin().await?;
    match input {
        Input::NewOrder(input) => session.new_order.execute(session, input).await,
        Input::Payment(input) => session.payment.execute(session, input).await.map(Some),
        Input::OrderStatus(input) => session.order_status.execute(session, input).await.map(Some),
        Input::Delivery(input) => session.delivery.execute(session, input).await.map(Some),
        Input::StockLevel(input) => session.stock_level.execute(session, input).await.map(Some),
    }
}

/// A district of any warehouse number: uniform.
fn any_district(chance: &mut Chance) -> i32 {
    chance.within(1, DISTRICTS)
}

/// A warehouse that is not `home`, where there is one.
fn other_warehouse(home: i32, scale: &Scale, chance: &mut Chance) -> i32 {
    if scale.warehouses == 1 {
        return home;
    }
    let other = chance.within(1, scale.warehouses - 1);
    if other >= home { other + 1 } else { other }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mix_is_the_specifications() {
        assert_eq!(Kind::ALL.iter().map(|kind| kind.share()).sum::<i32>(), 100);
        let mut chance = Chance::new(5, 0);
        let mut counts = [0; 5];
        for _ in 0..100_000 {
            counts[Kind::draw(&mut chance) as usize] += 1;
        }
        for (kind, count) in Kind::ALL.into_iter().zip(counts) {
            let expected = kind.share() * 1_000;
            assert!((expected - 400..expected + 400).contains(&count), "{kind:?}: {count}");
        }
    }

    #[test]
    fn remote_is_never_home() {
        let mut chance = Chance::new(5, 0);
        let scale = Scale::full(4);
        let mut seen = [0; 5];
        for _ in 0..1_000 {
            seen[other_warehouse(3, &scale, &mut chance) as usize] += 1;
        }
        assert!(seen[3] == 0 && [1, 2, 4].iter().all(|&w| seen[w] > 200), "{seen:?}");
        assert_eq!(other_warehouse(1, &Scale::full(1), &mut chance), 1);
    }
}
