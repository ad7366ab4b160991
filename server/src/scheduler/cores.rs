//! One single-threaded runtime per core; a connection is given to one of them for life.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;

/// Work to start on a core: makes its (not `Send`) future there.
type Job = Box<dyn FnOnce() -> std::pin::Pin<Box<dyn Future<Output = ()>>> + Send>;

/// The threads that serve connections.
pub struct Cores {
    cores: Vec<Core>,
    stop: watch::Sender<bool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Core {
    jobs: mpsc::UnboundedSender<Job>,
    connections: Arc<AtomicUsize>,
}

impl Cores {
    /// Starts `count` threads. They end when [`Cores::stop`] was called and their connections are done.
    pub fn start(count: usize) -> std::io::Result<Cores> {
        let (stop, stopped) = watch::channel(false);
        let mut cores = Vec::new();
        let mut threads = Vec::new();
        for number in 0..count.max(1) {
            let (jobs, inbox) = mpsc::unbounded_channel();
            let stopped = stopped.clone();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let thread = std::thread::Builder::new()
                .name(format!("cairn-core-{number}"))
                .spawn(move || LocalSet::new().block_on(&runtime, serve(inbox, stopped)))?;
            threads.push(thread);
            cores.push(Core { jobs, connections: Arc::default() });
        }
        Ok(Cores { cores, stop, threads: Mutex::new(threads) })
    }

    /// Starts a connection on the core that has the fewest.
    pub fn spawn<F: Future<Output = ()> + 'static>(&self, make: impl FnOnce() -> F + Send + 'static) {
        let Some(core) = self.cores.iter().min_by_key(|core| core.connections.load(Ordering::Relaxed)) else {
            return;
        };
        let connections = Arc::clone(&core.connections);
        connections.fetch_add(1, Ordering::Relaxed);
        let job: Job = Box::new(move || {
            Box::pin(async move {
                make().await;
                connections.fetch_sub(1, Ordering::Relaxed);
            })
        });
        // A core that has stopped takes no more; the socket is closed with the job.
        let _ = core.jobs.send(job);
    }

    /// Tells the cores to end once their connections have, and waits for that.
    pub fn stop(&self) {
        let _ = self.stop.send(true);
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(|poison| poison.into_inner()));
        for thread in threads {
            let _ = thread.join();
        }
    }
}

/// Returns once the server stops.
pub async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it the server.
    let _ = stopping.wait_for(|stop| *stop).await;
}

async fn serve(mut inbox: mpsc::UnboundedReceiver<Job>, mut stopping: watch::Receiver<bool>) {
    let mut running = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            job = inbox.recv() => match job {
                Some(job) => {
                    running.spawn_local(job());
                }
                None => break,
            },
            Some(_) = running.join_next() => {}
            () = stopped(&mut stopping) => break,
        }
    }
    while running.join_next().await.is_some() {}
}
