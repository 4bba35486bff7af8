//! A random walk over the ledger, side by side with a model of it: two workers that take the mailbox from one another,
//! late writers, deaths, UIDVALIDITY changes, and everything that can happen to a message in between.
//!
//! `POSTROOM_SEED` repeats a walk.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use devstack::Chance;
use postroom::mail;
use postroom::mail::{Facts, Mail};
use postroom::message::{Extent, Listed, Message, Uid, UidSet, UidValidity};
use postroom::rule::{Labels, Ruling};
use postroom::store::{Due, Entry, Error, Folder, Hand, Lease, NewMessage, Source, Store, Unsettled, Which};
use postroom::ticket;
use postroom::ticket::{Clues, Filing, Policy, Ticket};
use uuid::Uuid;

use crate::support::{Intake, Site, expire_leases};

/// A message of the model.
#[expect(clippy::struct_excessive_bools, reason = "as many as the tables have")]
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    state: &'static str,
    attempts: u32,
    crashes: u32,
    crashes_alone: u32,
    /// Whether it waits for a time, or for a person.
    waits: bool,
    /// Whether it is said to be still in the folder after it was settled.
    stays: bool,
    set_aside: bool,
    copied: bool,
    /// Whether it became a message, or is a copy of one.
    stored: bool,
}

const SEEN: Row = Row {
    state: "seen",
    attempts: 0,
    crashes: 0,
    crashes_alone: 0,
    waits: false,
    stays: false,
    set_aside: false,
    copied: false,
    stored: false,
};

type Key = (u32, u32);

const HOUR: Duration = Duration::from_hours(1);

#[derive(Default)]
struct Model {
    ledger: BTreeMap<Key, Row>,
    /// Contents that are stored.
    messages: BTreeSet<u32>,
}

/// A worker of the walk: its lease, perhaps lost, and what it has in hand.
struct Worker {
    name: Arc<str>,
    lease: Lease,
    folder: Folder,
    hands: Vec<(Hand, Vec<u32>, bool)>,
    is_holder: bool,
}

struct Walk {
    site: Site,
    store: Store,
    policy: Arc<Policy>,
    chance: Chance,
    model: Model,
    workers: Vec<Worker>,
    uidvalidity: u32,
    /// Says in a failure how to get there again.
    seed: u64,
    steps: u32,
}

impl Walk {
    async fn new(seed: u64) -> Self {
        let site = Site::new().await;
        let intake = Intake::of(&site).await;
        let policy = intake.policy();
        let Intake { store, lease, .. } = intake;
        let (folder, _) = store.open_folder(&lease, UidValidity(1), None, HOUR).await.unwrap();
        let late = Worker {
            name: "second".into(),
            lease: lease.clone(),
            folder: folder.clone(),
            hands: Vec::new(),
            is_holder: false,
        };
        let first = Worker { name: "first".into(), lease, folder, hands: Vec::new(), is_holder: true };
        let mut walk = Self {
            site,
            store,
            policy,
            chance: Chance::of(seed),
            model: Model::default(),
            workers: vec![first, late],
            uidvalidity: 1,
            seed,
            steps: 0,
        };
        // From now on the second has a lease that was lost.
        walk.take_over(1).await;
        walk.take_over(0).await;
        walk
    }

    /// Takes the mailbox for a worker. The one before has died over what it had in hand, as far as anybody knows.
    async fn take_over(&mut self, who: usize) {
        expire_leases(&self.site).await;
        let name = Arc::clone(&self.workers[who].name);
        let lease = self.store.acquire_lease("support", &name).await.unwrap().unwrap();
        for (at, worker) in self.workers.iter_mut().enumerate() {
            let uidvalidity = worker.folder.uidvalidity.0;
            for (_, uids, suspect) in worker.hands.drain(..).filter(|_| at != who && worker.is_holder) {
                for uid in &uids {
                    let row = self.model.ledger.get_mut(&(uidvalidity, *uid)).unwrap();
                    if row.state == "seen" || row.state == "held" {
                        row.crashes += 1;
                        row.crashes_alone += u32::from(suspect && uids.len() == 1);
                    }
                }
            }
            worker.is_holder = at == who;
        }
        let (folder, _) =
            self.store.open_folder(&lease, UidValidity(self.uidvalidity), None, HOUR).await.unwrap();
        self.workers[who].lease = lease;
        self.workers[who].folder = folder;
    }

    /// Some of the messages of the worker's folder, whatever their state.
    fn some(&mut self, who: usize) -> UidSet {
        let uidvalidity = self.workers[who].folder.uidvalidity.0;
        let all: Vec<u32> = self
            .model
            .ledger
            .range((uidvalidity, 0)..=(uidvalidity, u32::MAX))
            .map(|(key, _)| key.1)
            .collect();
        let share = self.chance.below(3) + 1;
        all.into_iter().filter(|_| self.chance.below(4) < share).map(Uid).collect()
    }

    /// Changes the model's rows of `uids` that are in one of `states`, if the worker may write.
    fn change(&mut self, who: usize, uids: &UidSet, states: &[&str], change: impl Fn(&mut Row)) {
        let uidvalidity = self.workers[who].folder.uidvalidity.0;
        for uid in uids.iter().filter(|_| self.workers[who].is_holder) {
            let row = self.model.ledger.get_mut(&(uidvalidity, uid.0)).unwrap();
            if states.contains(&row.state) {
                change(row);
            }
        }
    }

    /// What a write must come to: done, or refused because the worker has lost the mailbox.
    fn assert_fenced<T: std::fmt::Debug>(&self, who: usize, outcome: &Result<T, Error>) {
        let is_holder = self.workers[who].is_holder;
        let expected = matches!((outcome, is_holder), (Ok(_), true) | (Err(Error::LeaseLost), false));
        assert!(expected, "{outcome:?} for a worker that holds the mailbox: {is_holder}");
    }

    async fn see(&mut self, who: usize) {
        let uidvalidity = self.workers[who].folder.uidvalidity.0;
        let lo = 1 + u32::try_from(self.chance.below(40)).unwrap();
        let hi = lo + u32::try_from(self.chance.below(6)).unwrap();
        let listed: Vec<Listed> =
            (lo..=hi).map(|uid| Listed { uid: Uid(uid), size: 1, internal_date: None }).collect();
        let outcome = self.store.see(&self.workers[who].folder, &listed, Uid(hi)).await;
        self.assert_fenced(who, &outcome);
        if outcome.is_err() {
            return;
        }
        for uid in lo..=hi {
            let row = self.model.ledger.entry((uidvalidity, uid)).or_insert(SEEN);
            if row.state == "gone" || (row.state == "settled" && !row.stays) {
                *row = Row { set_aside: row.set_aside, ..SEEN };
            }
        }
    }

    async fn take_in_hand(&mut self, who: usize) {
        let most = if self.chance.one_in(2) { 1 } else { usize::MAX };
        let uids: UidSet = self.some(who).iter().take(most).collect();
        if uids.is_empty() {
            return;
        }
        let suspect = self.chance.one_in(2);
        let outcome = self.store.take_in_hand(&self.workers[who].folder, &uids, suspect).await;
        self.assert_fenced(who, &outcome);
        if let Ok(hand) = outcome {
            self.workers[who].hands.push((hand, uids.iter().map(|uid| uid.0).collect(), suspect));
        }
    }

    async fn put_down(&mut self, who: usize) {
        if let Some((hand, ..)) = self.workers[who].hands.pop() {
            self.store.put_down(hand).await.unwrap();
        }
    }

    async fn end(&mut self, who: usize) {
        let uids = self.some(who);
        let folder = self.workers[who].folder.clone();
        let not_stored = ["seen", "held"];
        let stored = ["recorded", "duplicate"];
        let outcome = match self.chance.below(7) {
            0 => {
                let outcome = self.store.hold(&folder, &uids, "doubt").await;
                self.change(who, &uids, &not_stored, |row| {
                    *row = Row { state: "held", attempts: row.attempts + 1, waits: true, ..row.clone() };
                });
                outcome
            }
            1 => {
                let outcome = self.store.gone(&folder, &uids).await;
                self.change(who, &uids, &not_stored, |row| {
                    let state = if row.set_aside { "held" } else { "gone" };
                    // Held for good, until a person decides.
                    *row = Row { state, waits: row.set_aside, ..row.clone() };
                });
                outcome
            }
            2 => {
                let outcome = self.store.stumbled(&folder, &uids, "doubt").await;
                self.change(who, &uids, &not_stored, |row| {
                    row.attempts += 1;
                    row.waits = row.state == "held";
                });
                outcome
            }
            3 => {
                let outcome = self.store.settle_later(&folder, &uids).await;
                self.change(who, &uids, &stored, |row| {
                    row.attempts += 1;
                    row.waits = true;
                });
                outcome
            }
            4 => {
                let outcome = self.store.copied(&folder, &uids).await;
                self.change(who, &uids, &stored, |row| row.copied = true);
                outcome
            }
            n => {
                let stays = (n == 5).then_some("kept");
                let outcome = self.store.settled(&folder, &uids, stays).await;
                self.change(who, &uids, &stored, |row| {
                    *row = Row { state: "settled", waits: false, stays: stays.is_some(), ..row.clone() };
                });
                outcome
            }
        };
        if !uids.is_empty() {
            self.assert_fenced(who, &outcome);
        }
    }

    async fn set_aside(&mut self, who: usize) {
        let Some(uid) = self.some(who).iter().next() else { return };
        let source = Source::compress(b"unread").unwrap();
        let key = (self.workers[who].folder.uidvalidity.0, uid.0);
        // Intake sets aside what it was to fetch, and nothing else.
        if !["seen", "held"].contains(&self.model.ledger[&key].state) {
            return;
        }
        let outcome = self.store.set_aside(&self.workers[who].folder, uid, Some(&source), "deadly").await;
        self.assert_fenced(who, &outcome);
        self.change(who, &std::iter::once(uid).collect(), &["seen", "held"], |row| {
            *row = Row { state: "held", waits: true, set_aside: true, ..row.clone() };
        });
    }

    /// Records what is due, as intake does: first asks what is known, then stores what is new.
    async fn record(&mut self, who: usize) {
        let folder = self.workers[who].folder.clone();
        let mut due = self.store.to_fetch(&folder, Uid(0), 100).await.unwrap();
        due.truncate(self.chance.index(8));
        let letters: Vec<(Uid, u32, Extent, Mail, Source)> = due
            .iter()
            .map(|due| {
                let content = u32::try_from(self.chance.below(30)).unwrap();
                let extent = if content == 0 { Extent::Header } else { Extent::Whole };
                let message = message(due, content, extent);
                let source = Source::compress(&message.source).unwrap();
                (due.listed.uid, content, extent, mail::read(&message, &Facts::default()), source)
            })
            .collect();
        let fingerprints: Vec<_> = letters.iter().map(|(.., mail, _)| mail.fingerprint).collect();
        let known =
            self.store.known(folder.lease.mailbox_id(), &self.policy, &fingerprints, &[]).await.unwrap();
        let mut stored: HashMap<_, Uuid> = known.stored;
        let numbers = self.store.take_ticket_numbers(letters.len()).await.unwrap();
        let entries: Vec<Entry<'_>> = letters
            .iter()
            .zip(numbers)
            .map(|((uid, _, extent, mail, source), number)| {
                if let Some(&of) = stored.get(&mail.fingerprint) {
                    return Entry::Copy { uid: *uid, of, extent: *extent };
                }
                let id = Uuid::now_v7();
                stored.insert(mail.fingerprint, id);
                let filing = self.file(mail);
                Entry::New(Box::new(new_message(*uid, id, number, *extent, mail, source, filing)))
            })
            .collect();

        let outcome = self.store.record(&folder, &[], &entries, &ticket::Known::default()).await;

        self.assert_fenced(who, &outcome);
        if outcome.is_err() {
            return;
        }
        for (uid, content, extent, ..) in &letters {
            let is_new = self.model.messages.insert(*content);
            let state = match extent {
                Extent::Header => "held",
                Extent::Whole if is_new => "recorded",
                Extent::Whole => "duplicate",
            };
            let waits = *extent == Extent::Header;
            let row = self.model.ledger.get_mut(&(folder.uidvalidity.0, uid.0)).unwrap();
            *row = Row { state, waits, set_aside: false, stored: true, stays: false, ..row.clone() };
        }
    }

    fn file(&self, mail: &Mail) -> Filing {
        let clues = Clues::of(mail, &self.policy);
        ticket::file(&clues, &ticket::Known::default(), &self.policy, Utc::now())
    }

    /// An operator has what is held tried again.
    async fn retry(&mut self) {
        let mut due = 0;
        for (key, row) in &mut self.model.ledger {
            if key.0 == self.uidvalidity && row.state == "held" && !row.stored {
                due += 1;
                let (crashes, crashes_alone) = (row.crashes.min(1), row.crashes_alone.min(1));
                *row =
                    Row { state: "seen", waits: false, attempts: 0, crashes, crashes_alone, ..row.clone() };
            }
        }
        assert_eq!(self.store.retry_held(Which::All).await.unwrap(), due);
    }

    async fn change_uidvalidity(&mut self) {
        let before = self.uidvalidity;
        self.uidvalidity = 1 + u32::try_from(self.chance.below(3)).unwrap();
        // What has come back may mean other messages.
        let anew =
            self.model.ledger.iter_mut().filter(|(key, row)| key.0 == self.uidvalidity && !row.set_aside);
        let anew = anew.filter(|(_, row)| row.state != "settled" || row.stays);
        for (_, row) in anew.filter(|_| before != self.uidvalidity) {
            *row = Row { state: "gone", waits: false, ..row.clone() };
        }
        let who = usize::from(!self.workers[0].is_holder);
        let lease = self.workers[who].lease.clone();
        let (folder, _) =
            self.store.open_folder(&lease, UidValidity(self.uidvalidity), None, HOUR).await.unwrap();
        // A session ends with its folder, and with it what it had in hand.
        while !self.workers[who].hands.is_empty() {
            self.put_down(who).await;
        }
        self.workers[who].folder = folder;
    }

    async fn step(&mut self) {
        self.steps += 1;
        // Mostly the holder acts, and now and then somebody who does not know yet that it is not.
        let who = match self.chance.below(5) {
            0 => usize::from(self.workers[0].is_holder),
            _ => usize::from(!self.workers[0].is_holder),
        };
        match self.chance.below(21) {
            0..=3 => self.see(who).await,
            4..=6 => self.take_in_hand(who).await,
            7 => self.put_down(who).await,
            8..=11 => self.record(who).await,
            12..=15 => self.end(who).await,
            16 => self.set_aside(who).await,
            17 => self.retry().await,
            18 => self.take_over(usize::from(self.workers[0].is_holder)).await,
            19 => self.take_over(who).await,
            _ => self.change_uidvalidity().await,
        }
    }

    /// Compares the tables with the model.
    async fn compare(&self) {
        let ledger = "SELECT l.uidvalidity, l.uid, l.state, attempts, crashes, crashes_alone,
                             CASE l.state WHEN 'held' THEN retry_at IS NULL OR retry_at > now()
                                          ELSE coalesce(retry_at > now(), false) END,
                             l.state = 'settled' AND reason IS NOT NULL,
                             EXISTS (SELECT FROM set_aside s WHERE s.uidvalidity = l.uidvalidity AND s.uid = l.uid),
                             copied_at IS NOT NULL, message_id IS NOT NULL
                      FROM ledger l ORDER BY 1, 2";
        let found = self.site.database.rows(ledger).await.unwrap();
        let expected: Vec<Vec<String>> = self
            .model
            .ledger
            .iter()
            .map(|((uidvalidity, uid), row)| {
                let flags =
                    [row.waits, row.state == "settled" && row.stays, row.set_aside, row.copied, row.stored];
                let numbers = [row.attempts, row.crashes, row.crashes_alone].map(|number| number.to_string());
                [uidvalidity.to_string(), uid.to_string(), row.state.to_owned()]
                    .into_iter()
                    .chain(numbers)
                    .chain(flags.map(|flag| if flag { "t" } else { "f" }.to_owned()))
                    .collect()
            })
            .collect();
        let place = format!("after step {} of POSTROOM_SEED={}", self.steps, self.seed);
        assert_eq!(found, expected, "{place}");
        let messages = usize::try_from(self.site.number("SELECT count(*) FROM messages").await).unwrap();
        assert_eq!(messages, self.model.messages.len(), "{place}");
        let sources = usize::try_from(self.site.number("SELECT count(*) FROM sources").await).unwrap();
        assert_eq!(sources, messages, "{place}");

        let holder = self.workers.iter().find(|worker| worker.is_holder).unwrap();
        let uidvalidity = holder.folder.uidvalidity.0;
        let where_ = |wanted: &dyn Fn(&Row) -> bool| -> Vec<u32> {
            let rows = self.model.ledger.range((uidvalidity, 0)..=(uidvalidity, u32::MAX));
            rows.filter(|(_, row)| wanted(row)).map(|(key, _)| key.1).collect()
        };
        let to_fetch = self.store.to_fetch(&holder.folder, Uid(0), 1_000).await.unwrap();
        let to_fetch: Vec<u32> = to_fetch.iter().map(|due| due.listed.uid.0).collect();
        assert_eq!(
            to_fetch,
            where_(&|row| row.state == "seen" || (row.state == "held" && !row.waits)),
            "{place}"
        );
        let Unsettled { all, copied } = self.store.to_settle(&holder.folder).await.unwrap();
        let to_settle: Vec<u32> = all.iter().map(|uid| uid.0).collect();
        let open = |row: &Row| (row.state == "recorded" || row.state == "duplicate") && !row.waits;
        assert_eq!(to_settle, where_(&open), "{place}");
        let copied: Vec<u32> = copied.iter().map(|uid| uid.0).collect();
        assert_eq!(copied, where_(&|row| open(row) && row.copied), "{place}");
    }
}

fn message(due: &Due, content: u32, extent: Extent) -> Message {
    let source = format!("Message-ID: <{content}@example.com>\r\nFrom: ann@example.com\r\n\r\n{content}\r\n");
    Message { listed: due.listed, source: source.into_bytes(), extent }
}

fn new_message<'a>(
    uid: Uid,
    id: Uuid,
    number: i64,
    extent: Extent,
    mail: &'a Mail,
    source: &'a Source,
    filing: Filing,
) -> NewMessage<'a> {
    let now: DateTime<Utc> = Utc::now();
    NewMessage {
        uid,
        id,
        received_at: now,
        extent,
        mail,
        source,
        filing,
        ticket: Some(Ticket {
            id: Uuid::now_v7(),
            number,
            subject: String::new(),
            status: "open".to_owned(),
            message_count: 1,
            labels: Labels::default(),
        }),
        ruling: Ruling::default(),
        degraded: None,
        event: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_does_what_a_model_of_it_does() {
    let seeds = match std::env::var("POSTROOM_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => vec![1, 2],
    };
    for seed in seeds {
        let mut walk = Walk::new(seed).await;
        for _ in 0..120 {
            walk.step().await;
            walk.compare().await;
        }
    }
}
