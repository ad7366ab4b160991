//! How a statement waits: the seam between the store and whoever schedules statements.
//!
//! The store never parks a thread by itself for a row lock or a commit: it makes a [`Signal`] and hands
//! it to the thread's current [`Waiter`]. Without one the thread sleeps; the server installs one that
//! suspends the statement's coroutine instead. No latch, mutex or borrow of the store is held while a
//! waiter runs (debug builds assert it), so a waiter may run any other statement meanwhile.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};
use types::Result;

/// A one-shot event: unset, then set for good.
#[derive(Default)]
pub struct Signal {
    state: Mutex<SignalState>,
    condvar: Condvar,
}

#[derive(Default)]
struct SignalState {
    set: bool,
    wakers: Vec<Waker>,
}

impl Signal {
    pub fn new() -> Arc<Signal> {
        Arc::new(Signal::default())
    }

    /// Sets the event and wakes everyone. Cheap when nobody waits; may be called from any thread.
    pub fn set(&self) {
        let wakers = {
            let mut state = self.state.lock();
            if state.set {
                return;
            }
            state.set = true;
            std::mem::take(&mut state.wakers)
        };
        self.condvar.notify_all();
        for waker in wakers {
            waker.wake();
        }
    }

    pub fn is_set(&self) -> bool {
        self.state.lock().set
    }

    /// Registers `waker` to be woken by [`Signal::set`]. Returns true, registering nothing, when the
    /// event has already happened. Spurious and repeated registrations are harmless.
    pub fn register(&self, waker: &Waker) -> bool {
        let mut state = self.state.lock();
        if !state.set && !state.wakers.iter().any(|known| known.will_wake(waker)) {
            state.wakers.push(waker.clone());
        }
        state.set
    }

    /// Sleeps the thread until the event or the deadline; true if the event happened.
    pub fn park(&self, deadline: Option<Instant>) -> bool {
        let mut state = self.state.lock();
        while !state.set {
            match deadline {
                None => self.condvar.wait(&mut state),
                Some(at) => {
                    if self.condvar.wait_until(&mut state, at).timed_out() {
                        break;
                    }
                }
            }
        }
        state.set
    }
}

/// Why a statement waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WaitReason {
    /// Another transaction owns the row. The waiter may give up with an error (57014, 57P01).
    Lock,
    /// The log is being flushed for this commit, which can no longer be taken back: an error from the
    /// waiter is not heeded, and the store waits on.
    Commit,
}

/// Suspends the caller until a [`Signal`]; implemented by the server's scheduler.
pub trait Waiter {
    /// Returns true once `signal` is set, false once `deadline` has passed, or an error to make the
    /// statement give up (57014 on cancel); the store then withdraws the wait and returns that error.
    fn wait(&self, signal: &Arc<Signal>, reason: WaitReason, deadline: Option<Instant>) -> Result<bool>;

    /// Called by long operations about once a page; an error (57014) ends the operation.
    fn check_interrupt(&self) -> Result<()> {
        Ok(())
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<dyn Waiter>>> = const { RefCell::new(None) };
}

/// Installs the waiter of this thread and returns the previous one. A scheduler calls it around each
/// resumption of a statement.
pub fn set_current(waiter: Option<Rc<dyn Waiter>>) -> Option<Rc<dyn Waiter>> {
    CURRENT.with(|current| current.replace(waiter))
}

/// The waiter of this thread, if one is installed.
pub fn current() -> Option<Rc<dyn Waiter>> {
    CURRENT.with(|current| current.borrow().clone())
}

/// Waits for `signal` through this thread's waiter; true if it was set, false at the deadline.
pub fn wait(signal: &Arc<Signal>, reason: WaitReason, deadline: Option<Instant>) -> Result<bool> {
    if signal.is_set() {
        return Ok(true);
    }
    match current() {
        Some(waiter) => waiter.wait(signal, reason, deadline),
        None => Ok(signal.park(deadline)),
    }
}

/// Runs `work` with waits that park the thread: for a short transaction under a mutex, across which no
/// statement may be suspended.
pub fn blocking<R>(work: impl FnOnce() -> R) -> R {
    let outer = set_current(None);
    let result = work();
    set_current(outer);
    result
}

/// Asks this thread's waiter whether the statement should stop (57014).
pub fn check_interrupt() -> Result<()> {
    // Not under the borrow: the waiter may run other statements, with their waiters, meanwhile.
    match current() {
        Some(waiter) => waiter.check_interrupt(),
        None => Ok(()),
    }
}
