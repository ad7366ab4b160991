//! Synchronous work that suspends instead of blocking its thread.
//!
//! `wire/connection.rs` calls [`run`] with a closure; inside it the store's waits (through
//! `storage::wait`), time slices ([`CoroutineWaiter::check_interrupt`]) and socket I/O suspend the
//! coroutine, and the async side does what it asked for. A coroutine never changes its thread. No
//! latch, mutex guard or `RefCell` borrow is held across a suspension (the store asserts its part).
//! After ENGINE.md II §5.2.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use storage::wait::{self, Signal, WaitReason, Waiter};
use tokio::sync::Notify;
use types::{Error, Result};

/// Stacks are reserved, not resident: only what was touched takes memory.
const STACK_BYTES: usize = 8 << 20;
/// Idle stacks a thread keeps for the next statement.
const POOLED_STACKS: usize = 32;
/// How long a statement runs before others on its thread get their turn.
const TIME_SLICE: Duration = Duration::from_millis(1);

/// Tells a running statement to stop, from any thread.
#[derive(Debug, Default)]
pub struct CancelFlag {
    canceled: Arc<AtomicBool>,
    wake: Notify,
}

impl CancelFlag {
    pub fn cancel(&self) {
        self.canceled.store(true, Ordering::Release);
        self.wake.notify_waiters();
    }

    /// A new statement begins: an old request no longer counts.
    pub fn clear(&self) {
        self.canceled.store(false, Ordering::Release);
    }

    pub fn is_canceled(&self) -> bool {
        self.canceled.load(Ordering::Acquire)
    }

    /// 57014 when canceled.
    pub fn check(&self) -> Result<()> {
        if self.is_canceled() { Err(Error::canceled()) } else { Ok(()) }
    }

    /// The bare flag, for evaluators that poll it.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.canceled)
    }
}

/// What a coroutine asks of the async side.
enum Request {
    Wait {
        signal: Arc<Signal>,
        deadline: Option<Instant>,
        cancelable: bool,
    },
    Slice,
    /// Write these bytes to the client.
    Write(Vec<u8>),
    /// Append what the client sends next to this buffer.
    Read(Vec<u8>),
}

/// The answer to a [`Request`].
enum Reply {
    Go,
    Waited(bool),
    Written(std::io::Result<()>, Vec<u8>),
    /// How many bytes came; 0 is end of stream.
    Read(std::io::Result<usize>, Vec<u8>),
}

type StatementCoroutine<R> = Coroutine<Reply, Request, R>;

/// The coroutine's side of the seam: installed as the store's waiter while the coroutine runs.
pub struct CoroutineWaiter {
    yielder: *const Yielder<Reply, Request>,
    cancel: Arc<CancelFlag>,
    slice_began: Cell<Instant>,
    /// statement_timeout: when the statement must have ended.
    deadline: Cell<Option<Instant>>,
}

impl CoroutineWaiter {
    #[allow(unsafe_code)]
    fn suspend(&self, request: Request) -> Reply {
        // SAFETY: the yielder lives on the coroutine's stack for as long as the closure that was given
        // it runs. The waiter is made by that closure (`run`), reaches others only through the
        // thread-local of `storage::wait` and the `Link` lent to the closure, and `run` takes it out of
        // the thread-local whenever the coroutine is not running; nothing calls it after the closure
        // has returned, since the closure drops its `Rc` last and `run` asserts that none is left.
        let yielder = unsafe { &*self.yielder };
        let reply = yielder.suspend(request);
        self.slice_began.set(Instant::now());
        reply
    }

    /// 57014 when the statement was canceled or its time is up.
    fn check(&self) -> Result<()> {
        self.cancel.check()?;
        match self.deadline.get() {
            Some(deadline) if Instant::now() >= deadline => Err(Error::new(
                types::SqlState::QUERY_CANCELED,
                "canceling statement due to statement timeout",
            )),
            _ => Ok(()),
        }
    }
}

impl Waiter for CoroutineWaiter {
    fn wait(&self, signal: &Arc<Signal>, reason: WaitReason, deadline: Option<Instant>) -> Result<bool> {
        let cancelable = reason == WaitReason::Lock;
        let mut until = deadline;
        if cancelable {
            self.check()?;
            until = [deadline, self.deadline.get()].into_iter().flatten().min();
        }
        let request = Request::Wait { signal: Arc::clone(signal), deadline: until, cancelable };
        let reply = self.suspend(request);
        if cancelable {
            self.check()?;
        }
        Ok(matches!(reply, Reply::Waited(true)))
    }

    fn check_interrupt(&self) -> Result<()> {
        self.check()?;
        if self.slice_began.get().elapsed() >= TIME_SLICE {
            self.suspend(Request::Slice);
            self.check()?;
        }
        Ok(())
    }
}

/// What the closure of [`run`] may do besides computing.
pub struct Link {
    waiter: Rc<CoroutineWaiter>,
}

impl Link {
    /// From now on the statement may take `timeout_ms`; 0 is for ever.
    pub fn set_timeout(&self, timeout_ms: u64) {
        let deadline = (timeout_ms > 0).then(|| Instant::now() + Duration::from_millis(timeout_ms));
        self.waiter.deadline.set(deadline);
    }

    /// Sends `out` to the client and empties it; returns when the kernel has taken it all.
    pub fn write(&self, out: &mut Vec<u8>) -> std::io::Result<()> {
        match self.waiter.suspend(Request::Write(std::mem::take(out))) {
            Reply::Written(result, mut buffer) => {
                buffer.clear();
                *out = buffer;
                result
            }
            _ => Err(std::io::Error::other("the coroutine was resumed with another reply")),
        }
    }

    /// Appends what the client sends next to `input`; 0 is end of stream.
    pub fn read(&self, input: &mut Vec<u8>) -> std::io::Result<usize> {
        match self.waiter.suspend(Request::Read(std::mem::take(input))) {
            Reply::Read(result, buffer) => {
                *input = buffer;
                result
            }
            _ => Err(std::io::Error::other("the coroutine was resumed with another reply")),
        }
    }
}

/// The socket as the async side has it.
pub trait Transport {
    fn write(&mut self, bytes: &[u8]) -> impl Future<Output = std::io::Result<()>>;
    fn read(&mut self, buffer: &mut Vec<u8>) -> impl Future<Output = std::io::Result<usize>>;
}

thread_local! {
    static STACKS: RefCell<Vec<DefaultStack>> = const { RefCell::new(Vec::new()) };
}

fn take_stack() -> std::io::Result<DefaultStack> {
    match STACKS.with(|stacks| stacks.borrow_mut().pop()) {
        Some(stack) => Ok(stack),
        None => DefaultStack::new(STACK_BYTES),
    }
}

fn keep_stack(stack: DefaultStack) {
    STACKS.with(|stacks| {
        let mut stacks = stacks.borrow_mut();
        if stacks.len() < POOLED_STACKS {
            stacks.push(stack);
        }
    });
}

/// Runs `work` to its end as a coroutine on this thread, doing its I/O on `transport`.
///
/// Fails only when no stack can be had. Must not be dropped before it is done: the caller awaits it
/// to the end even when the client is gone (it cancels the statement instead).
pub async fn run<R: 'static>(
    cancel: Arc<CancelFlag>,
    transport: &mut impl Transport,
    work: impl FnOnce(&Link) -> R + 'static,
) -> std::io::Result<R> {
    let stack = take_stack()?;
    let flag = Arc::clone(&cancel);
    let mut coroutine: StatementCoroutine<R> = Coroutine::with_stack(stack, move |yielder, _: Reply| {
        let waiter = Rc::new(CoroutineWaiter {
            yielder,
            cancel: flag,
            slice_began: Cell::new(Instant::now()),
            deadline: Cell::new(None),
        });
        wait::set_current(Some(Rc::clone(&waiter) as Rc<dyn Waiter>));
        let link = Link { waiter };
        let result = work(&link);
        wait::set_current(None);
        assert_eq!(Rc::strong_count(&link.waiter), 1, "a statement left its waiter behind");
        result
    });
    let mut reply = Reply::Go;
    let mut waiter: Option<Rc<dyn Waiter>> = None;
    loop {
        let outer = wait::set_current(waiter.take());
        let step = coroutine.resume(reply);
        waiter = wait::set_current(outer);
        let request = match step {
            CoroutineResult::Return(result) => {
                keep_stack(coroutine.into_stack());
                return Ok(result);
            }
            CoroutineResult::Yield(request) => request,
        };
        reply = match request {
            Request::Slice => {
                tokio::task::yield_now().await;
                Reply::Go
            }
            Request::Wait { signal, deadline, cancelable } => {
                Reply::Waited(await_signal(&signal, deadline, cancelable.then_some(&*cancel)).await)
            }
            Request::Write(bytes) => Reply::Written(transport.write(&bytes).await, bytes),
            Request::Read(mut buffer) => {
                let result = transport.read(&mut buffer).await;
                Reply::Read(result, buffer)
            }
        };
    }
}

/// True when `signal` is set; false at the deadline or, with `cancel`, once canceled.
async fn await_signal(signal: &Signal, deadline: Option<Instant>, cancel: Option<&CancelFlag>) -> bool {
    let set = poll_fn(|cx| if signal.register(cx.waker()) { Poll::Ready(()) } else { Poll::Pending });
    let canceled = async {
        match cancel {
            None => std::future::pending().await,
            Some(flag) => loop {
                let notified = flag.wake.notified();
                if flag.is_canceled() {
                    return;
                }
                notified.await;
            },
        }
    };
    let late = async {
        match deadline {
            None => std::future::pending().await,
            Some(at) => tokio::time::sleep_until(at.into()).await,
        }
    };
    tokio::select! {
        biased;
        () = set => true,
        () = canceled => false,
        () = late => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct NoTransport;

    impl Transport for NoTransport {
        async fn write(&mut self, _bytes: &[u8]) -> std::io::Result<()> {
            Ok(())
        }
        async fn read(&mut self, buffer: &mut Vec<u8>) -> std::io::Result<usize> {
            buffer.push(7);
            Ok(1)
        }
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
    }

    #[test]
    fn waits_suspend_and_wake_from_another_thread() {
        let signal = Signal::new();
        let remote = Arc::clone(&signal);
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(5));
            remote.set();
        });
        let inside = Arc::clone(&signal);
        let done = runtime().block_on(run(Arc::default(), &mut NoTransport, move |_| {
            wait::wait(&inside, WaitReason::Lock, None).unwrap()
        }));
        assert!(done.unwrap());
    }

    #[test]
    fn a_cancel_ends_a_wait_with_57014() {
        let cancel = Arc::new(CancelFlag::default());
        let remote = Arc::clone(&cancel);
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(5));
            remote.cancel();
        });
        let error = runtime().block_on(run(cancel, &mut NoTransport, |_| {
            wait::wait(&Signal::new(), WaitReason::Lock, None).unwrap_err()
        }));
        assert_eq!(error.unwrap().code(), types::SqlState::QUERY_CANCELED);
    }

    #[test]
    fn two_long_statements_share_a_thread() {
        let turns = Rc::new(Cell::new(0));
        let spin = |turns: Rc<Cell<u32>>| async move {
            run(Arc::default(), &mut NoTransport, move |_| {
                let begin = turns.get();
                // Ends only when the other one has run, too.
                for _ in 0..10_000_000 {
                    turns.set(turns.get() + 1);
                    let mine = turns.get();
                    wait::check_interrupt().unwrap();
                    if turns.get() > mine && begin + 1 < mine {
                        return true;
                    }
                }
                false
            })
            .await
            .unwrap()
        };
        let (first, _) =
            runtime().block_on(async { tokio::join!(spin(Rc::clone(&turns)), spin(Rc::clone(&turns))) });
        assert!(first);
    }

    #[test]
    fn reads_reach_the_coroutine() {
        let read = runtime().block_on(run(Arc::default(), &mut NoTransport, |link| {
            let mut buffer = vec![1];
            link.read(&mut buffer).unwrap();
            buffer
        }));
        assert_eq!(read.unwrap(), [1, 7]);
    }
}
