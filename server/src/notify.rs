//! LISTEN and NOTIFY: who listens where, and what waits for whom.
//!
//! Transactions that notify take turns at commit (a table lock, so that waiting suspends); inside it
//! their notifications are put into the listeners' mailboxes. So all see them in commit order, and
//! statements that do not notify never come here. A session sends its mailbox's content to its client
//! when it is idle outside a transaction.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use catalog::DatabaseId;
use parking_lot::Mutex;
use types::{Error, Result, SqlState};

/// A payload is shorter than this, as in PostgreSQL.
const MAX_PAYLOAD_BYTES: usize = 8000;
/// A channel's name is shorter than this.
const MAX_CHANNEL_BYTES: usize = 64;
/// What may wait for one session: beyond it NOTIFY fails until the session takes some.
const MAILBOX_BYTES: usize = 64 << 20;

/// Something that was said on a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Of the session that said it.
    pub process_id: i32,
    pub message: Arc<Message>,
}

/// Channel and payload.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Message {
    pub channel: String,
    pub payload: String,
}

impl Message {
    fn size_bytes(&self) -> usize {
        self.channel.len() + self.payload.len() + size_of::<Notification>()
    }

    /// 22023 for what no channel or payload may be.
    pub fn new(channel: &str, payload: &str) -> Result<Message> {
        let invalid = |message: &str| Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, message));
        if channel.is_empty() {
            return invalid("channel name cannot be empty");
        }
        if channel.len() >= MAX_CHANNEL_BYTES {
            return invalid("channel name too long");
        }
        if payload.len() >= MAX_PAYLOAD_BYTES {
            return invalid("payload string too long");
        }
        Ok(Message { channel: channel.to_string(), payload: payload.to_string() })
    }
}

/// What waits for one session.
#[derive(Default)]
pub struct Mailbox {
    waiting: Mutex<Waiting>,
    /// Tells an idle connection that something has come.
    pub arrived: tokio::sync::Notify,
}

#[derive(Default)]
struct Waiting {
    notifications: VecDeque<Notification>,
    size_bytes: usize,
}

impl Mailbox {
    /// Takes everything.
    pub fn take(&self) -> VecDeque<Notification> {
        std::mem::take(&mut *self.waiting.lock()).notifications
    }

    fn put(&self, notification: Notification) {
        let mut waiting = self.waiting.lock();
        waiting.size_bytes += notification.message.size_bytes();
        waiting.notifications.push_back(notification);
        drop(waiting);
        self.arrived.notify_one();
    }

    fn size_bytes(&self) -> usize {
        self.waiting.lock().size_bytes
    }
}

/// What a transaction has asked for, until it commits.
#[derive(Debug, Default)]
pub struct Pending {
    pub listening: Vec<Listening>,
    messages: Vec<Arc<Message>>,
    known: HashSet<Arc<Message>>,
}

/// LISTEN and UNLISTEN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listening {
    Begin(String),
    End(String),
    EndAll,
}

/// How much was pending at a savepoint.
#[derive(Debug, Clone, Copy, Default)]
pub struct PendingMark {
    listening: usize,
    messages: usize,
}

impl Pending {
    pub fn is_empty(&self) -> bool {
        self.listening.is_empty() && self.messages.is_empty()
    }

    pub fn has_messages(&self) -> bool {
        !self.messages.is_empty()
    }

    /// NOTIFY; the same again in one transaction is said once.
    pub fn notify(&mut self, message: Message) {
        let message = Arc::new(message);
        if self.known.insert(Arc::clone(&message)) {
            self.messages.push(message);
        }
    }

    pub fn mark(&self) -> PendingMark {
        PendingMark { listening: self.listening.len(), messages: self.messages.len() }
    }

    pub fn back_to(&mut self, mark: PendingMark) {
        self.listening.truncate(mark.listening);
        for message in self.messages.drain(mark.messages.min(self.messages.len())..) {
            self.known.remove(&message);
        }
    }
}

/// The sessions that listen, by database and channel.
#[derive(Default)]
pub struct Channels {
    listeners: Mutex<HashMap<(DatabaseId, String), Vec<Listener>>>,
}

struct Listener {
    process_id: i32,
    mailbox: Arc<Mailbox>,
}

impl Channels {
    /// 54000 when a listener's mailbox has no room for what is pending. Asked before the commit.
    pub fn check_room(&self, database: DatabaseId, pending: &Pending) -> Result<()> {
        let listeners = self.listeners.lock();
        let mut more: HashMap<i32, usize> = HashMap::new();
        for message in &pending.messages {
            for listener in listeners.get(&(database, message.channel.clone())).into_iter().flatten() {
                let more = more.entry(listener.process_id).or_insert_with(|| listener.mailbox.size_bytes());
                *more += message.size_bytes();
                if *more > MAILBOX_BYTES {
                    return Err(Error::new(
                        SqlState::PROGRAM_LIMIT_EXCEEDED,
                        "too many notifications in the NOTIFY queue",
                    )
                    .with_detail(format!(
                        "The session with process ID {} has not taken its notifications.",
                        listener.process_id
                    ))
                    .with_hint("End its transaction, or the session."));
                }
            }
        }
        Ok(())
    }

    /// The transaction has committed: what it began to listen to counts for its own messages already.
    pub fn commit(&self, database: DatabaseId, process_id: i32, mailbox: &Arc<Mailbox>, pending: &Pending) {
        let mut listeners = self.listeners.lock();
        for listening in &pending.listening {
            match listening {
                Listening::Begin(channel) => {
                    let listeners = listeners.entry((database, channel.clone())).or_default();
                    if !listeners.iter().any(|listener| listener.process_id == process_id) {
                        listeners.push(Listener { process_id, mailbox: Arc::clone(mailbox) });
                    }
                }
                Listening::End(channel) => {
                    let key = (database, channel.clone());
                    if let Some(list) = listeners.get_mut(&key) {
                        list.retain(|listener| listener.process_id != process_id);
                        if list.is_empty() {
                            listeners.remove(&key);
                        }
                    }
                }
                Listening::EndAll => leave(&mut listeners, process_id),
            }
        }
        for message in &pending.messages {
            for listener in listeners.get(&(database, message.channel.clone())).into_iter().flatten() {
                listener.mailbox.put(Notification { process_id, message: Arc::clone(message) });
            }
        }
    }

    /// The session ends.
    pub fn leave(&self, process_id: i32) {
        leave(&mut self.listeners.lock(), process_id);
    }

    /// The channels a session listens on.
    pub fn of(&self, process_id: i32) -> Vec<String> {
        let listeners = self.listeners.lock();
        let mut channels: Vec<String> = listeners
            .iter()
            .filter(|(_, list)| list.iter().any(|listener| listener.process_id == process_id))
            .map(|((_, channel), _)| channel.clone())
            .collect();
        channels.sort();
        channels
    }

    /// How full the fullest mailbox is, 0 to 1.
    pub fn usage(&self) -> f64 {
        let listeners = self.listeners.lock();
        let fullest = listeners.values().flatten().map(|listener| listener.mailbox.size_bytes()).max();
        fullest.unwrap_or(0) as f64 / MAILBOX_BYTES as f64
    }
}

fn leave(listeners: &mut HashMap<(DatabaseId, String), Vec<Listener>>, process_id: i32) {
    listeners.retain(|_, list| {
        list.retain(|listener| listener.process_id != process_id);
        !list.is_empty()
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATABASE: DatabaseId = DatabaseId(5);

    fn pending(listening: &[Listening], messages: &[(&str, &str)]) -> Pending {
        let mut pending = Pending { listening: listening.to_vec(), ..Pending::default() };
        messages.iter().for_each(|(c, p)| pending.notify(Message::new(c, p).unwrap()));
        pending
    }

    fn taken(mailbox: &Mailbox) -> Vec<String> {
        mailbox.take().iter().map(|n| format!("{}:{}", n.message.channel, n.message.payload)).collect()
    }

    #[test]
    fn each_listener_gets_each_message_once() {
        let channels = Channels::default();
        let (one, two) = (Arc::new(Mailbox::default()), Arc::new(Mailbox::default()));
        let begin = [Listening::Begin("a".into()), Listening::Begin("a".into())];
        channels.commit(DATABASE, 1, &one, &pending(&begin, &[("a", "own")]));
        channels.commit(DATABASE, 2, &two, &pending(&begin[..1], &[("a", "x"), ("b", "x"), ("a", "x")]));
        assert_eq!(taken(&one), ["a:own", "a:x"]);
        assert_eq!(taken(&two), ["a:x"]);
        assert_eq!((channels.of(1), channels.of(2)), (vec!["a".to_string()], vec!["a".to_string()]));
        channels.commit(DatabaseId(6), 3, &two, &pending(&[], &[("a", "elsewhere")]));
        channels.commit(DATABASE, 1, &one, &pending(&[Listening::EndAll], &[("a", "y")]));
        channels.leave(2);
        channels.commit(DATABASE, 1, &one, &pending(&[], &[("a", "z")]));
        assert_eq!((taken(&one), taken(&two)), (vec![], vec!["a:y".to_string()]));
    }

    #[test]
    fn a_savepoint_is_gone_back_to() {
        let mut pending = pending(&[], &[("a", "1")]);
        let mark = pending.mark();
        pending.notify(Message::new("a", "2").unwrap());
        pending.listening.push(Listening::EndAll);
        pending.back_to(mark);
        pending.notify(Message::new("a", "2").unwrap());
        pending.notify(Message::new("a", "1").unwrap());
        assert_eq!(pending.messages.len(), 2);
        assert!(pending.listening.is_empty());
    }

    #[test]
    fn a_full_mailbox_refuses() {
        let channels = Channels::default();
        let mailbox = Arc::new(Mailbox::default());
        channels.commit(DATABASE, 1, &mailbox, &pending(&[Listening::Begin("a".into())], &[]));
        let mut full = Pending::default();
        let payload = "x".repeat(MAX_PAYLOAD_BYTES - 10);
        for number in 0..MAILBOX_BYTES / (MAX_PAYLOAD_BYTES - 10) + 1 {
            full.notify(Message::new("a", &format!("{number}{payload}")[..payload.len()]).unwrap());
        }
        assert_eq!(
            channels.check_room(DATABASE, &full).unwrap_err().code(),
            SqlState::PROGRAM_LIMIT_EXCEEDED
        );
        assert!(
            Message::new("a", &"x".repeat(8000)).is_err() && Message::new("a", &"x".repeat(7999)).is_ok()
        );
        assert!(Message::new("", "").is_err() && Message::new(&"c".repeat(64), "").is_err());
    }
}
