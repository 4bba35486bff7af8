//! A random walk over the outbox, held against a model of it in memory.
//!
//! The model knows no times, only whether they have passed: what lies in the future lies ten minutes ahead, until a
//! step of the walk lets time pass. `POSTROOM_SEED=7 cargo test --test delivery walk` walks one way again.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use devstack::Chance;
use postroom::store::{
    BREAKS_AT, Claim, DeliveryStatus, Fate, Finish, Finished, Health, NotRetried, Retried, Store,
};
use sqlx::{Connection, PgConnection};

use crate::world::{HELPDESK, LEASE, PASS_TIME, World};

const STEPS: u32 = 250;
const SEEDS: [u64; 3] = [1, 2, 3];

const WEBHOOKS: [&str; 2] = [HELPDESK, "other"];
const TICKETS: [u32; 4] = [1, 2, 3, 4];

/// SQL for what time does to a lease.
const LEASES_END: &str = "UPDATE deliveries SET lease_until = '2000-01-01' WHERE lease_until IS NOT NULL";

#[tokio::test]
async fn a_random_walk_over_the_outbox_agrees_with_its_model() {
    let world = World::start().await;
    world.store.register_webhooks(&WEBHOOKS).await.unwrap();
    let stores = [world.store.clone(), world.another_store().await];
    let seeds = std::env::var("POSTROOM_SEED").map_or(SEEDS.to_vec(), |seed| vec![seed.parse().unwrap()]);
    for ticket in TICKETS {
        world.store_event(ticket, &format!("evt_of_ticket_{ticket}")).await;
    }
    for seed in seeds {
        let anew = "DELETE FROM deliveries;
                    UPDATE webhooks SET failures = 0, paused_until = NULL, switched_off_at = NULL";
        world.database.rows(anew).await.unwrap();
        let mut walk = Walk {
            stores: &stores,
            connection: PgConnection::connect(world.database.url()).await.unwrap(),
            chance: Chance::of(seed),
            at: format!("with POSTROOM_SEED={seed}"),
            model: Model::default(),
            claims: Vec::new(),
            events: 0,
            is_bad_time: false,
        };
        for step in 0..STEPS {
            walk.at = format!("in step {step} with POSTROOM_SEED={seed}");
            walk.is_bad_time = step % 80 >= 40;
            walk.step().await;
            walk.compare().await;
        }
        walk.end().await;
    }
}

/// A delivery, as the model has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Delivery {
    event_id: String,
    webhook: &'static str,
    ticket: u32,
    status: DeliveryStatus,
    attempt: i32,
    forgiven: i32,
    is_due: bool,
    /// Whether its lease has not ended yet; none if it is not claimed.
    lease: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Webhook {
    failures: i32,
    is_paused: bool,
    is_off: bool,
}

#[derive(Debug, Default)]
struct Model {
    /// In the order of ids.
    deliveries: Vec<Delivery>,
    webhooks: BTreeMap<&'static str, Webhook>,
}

impl Model {
    fn webhook(&mut self, name: &'static str) -> &mut Webhook {
        self.webhooks.entry(name).or_default()
    }

    /// Which deliveries of a webhook may be claimed: the oldest of each ticket that is pending, if it is due and
    /// nobody has it; and how many at once.
    fn claimable(&mut self, name: &'static str) -> (Vec<usize>, usize) {
        let Webhook { failures, is_paused, is_off } = *self.webhook(name);
        if is_paused || is_off {
            return (Vec::new(), 0);
        }
        let mut oldest: BTreeMap<u32, usize> = BTreeMap::new();
        for (n, delivery) in self.deliveries.iter().enumerate() {
            if delivery.webhook == name && delivery.status == DeliveryStatus::Pending {
                oldest.entry(delivery.ticket).or_insert(n);
            }
        }
        let can = |&n: &usize| self.deliveries[n].is_due && self.deliveries[n].lease != Some(true);
        (oldest.into_values().filter(can).collect(), if failures < BREAKS_AT { usize::MAX } else { 1 })
    }

    fn find(&mut self, name: &str, event_id: &str) -> &mut Delivery {
        let mut deliveries = self.deliveries.iter_mut();
        deliveries.find(|delivery| delivery.webhook == name && delivery.event_id == event_id).unwrap()
    }

    /// The delivery of a claim, if the claim still counts.
    fn held(&mut self, held: &Held) -> Option<&mut Delivery> {
        let delivery = self.find(held.webhook, &held.claim.event_id);
        let is_ours = delivery.status == DeliveryStatus::Pending
            && delivery.lease.is_some()
            && delivery.attempt == held.claim.attempt;
        is_ours.then_some(delivery)
    }

    fn finish(&mut self, held: &Held, fate: Fate, health: Health) -> Finished {
        let Some(delivery) = self.held(held) else { return Finished::TakenOver };
        delivery.lease = None;
        match fate {
            Fate::Delivered => delivery.status = DeliveryStatus::Delivered,
            Fate::Dead => delivery.status = DeliveryStatus::Dead,
            Fate::Retry { after } => delivery.is_due = after.is_zero(),
        }
        let is_probe = held.claim.failures >= BREAKS_AT;
        let webhook = self.webhook(held.webhook);
        match health {
            Health::Works => {
                // A success that is no news touches nothing.
                webhook.is_paused &= !is_probe || webhook.failures == 0;
                webhook.failures = 0;
            }
            Health::Fails { rest, .. } => {
                webhook.failures += 1;
                webhook.is_paused =
                    (webhook.is_paused && !is_probe) || rest.is_some() || webhook.failures >= BREAKS_AT;
            }
            Health::Gone => {
                webhook.failures += 1;
                webhook.is_paused &= !is_probe;
                webhook.is_off = true;
            }
        }
        Finished::Ours
    }

    /// Has the dead ones retried for which the condition holds, and counts them by webhook.
    fn retry(&mut self, wanted: impl Fn(&Delivery) -> bool) -> Vec<Retried> {
        let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
        for delivery in &mut self.deliveries {
            if delivery.status == DeliveryStatus::Dead && wanted(delivery) {
                delivery.status = DeliveryStatus::Pending;
                delivery.forgiven = delivery.attempt;
                delivery.is_due = true;
                *counts.entry(delivery.webhook).or_default() += 1;
            }
        }
        let retried = |(name, deliveries): (&str, i64)| Retried {
            webhook: name.to_owned(),
            deliveries,
            switched_on: false,
            switched_off: self.webhooks.get(name).is_some_and(|webhook| webhook.is_off),
        };
        counts.into_iter().map(retried).collect()
    }
}

/// A claim that somebody has or once had.
#[derive(Debug, Clone)]
struct Held {
    webhook: &'static str,
    claim: Claim,
}

struct Walk<'a> {
    /// Those of two workers.
    stores: &'a [Store; 2],
    connection: PgConnection,
    chance: Chance,
    /// Where it is, for whoever reads a failure.
    at: String,
    model: Model,
    /// Also finished ones and ones that were taken over: late writers.
    claims: Vec<Held>,
    events: u32,
    is_bad_time: bool,
}

impl Walk<'_> {
    async fn step(&mut self) {
        match self.chance.index(20) {
            0..3 => self.store_event().await,
            3..8 => {
                let (webhook, limit) = (self.chance.one_of(&WEBHOOKS), 1 + self.chance.index(4));
                self.claim(webhook, limit).await;
            }
            8..14 => self.finish().await,
            14 => self.release().await,
            15 => self.end_leases().await,
            16 | 17 => self.pass_time().await,
            _ => self.retry().await,
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "both are made for the comparison")]
    fn same<T: PartialEq + Debug>(&self, real: T, modelled: T) {
        assert_eq!(real, modelled, "what is, and what the model says, {}", self.at);
    }

    fn store(&mut self) -> &Store {
        &self.stores[self.chance.index(2)]
    }

    async fn store_event(&mut self) {
        self.events += 1;
        let event_id = format!("evt_{}", self.events);
        let ticket = self.chance.one_of(&TICKETS);
        sqlx::query(
            "INSERT INTO deliveries (event_id, webhook, event_type, ticket_id, sequence, body)
             SELECT $1, webhook, 'ticket.created', id, 1, '{}'
             FROM tickets, unnest($2::text[]) WITH ORDINALITY AS x (webhook, place)
             WHERE number = $3 ORDER BY place",
        )
        .bind(&event_id)
        .bind(&WEBHOOKS[..])
        .bind(i64::from(ticket))
        .execute(&mut self.connection)
        .await
        .unwrap();
        self.model.deliveries.extend(WEBHOOKS.map(|webhook| Delivery {
            event_id: event_id.clone(),
            webhook,
            ticket,
            status: DeliveryStatus::Pending,
            attempt: 0,
            forgiven: 0,
            is_due: true,
            lease: None,
        }));
    }

    /// Claims, and says how many were claimed.
    async fn claim(&mut self, webhook: &'static str, limit: usize) -> usize {
        let claims = self.store().claim(webhook, limit, LEASE).await.unwrap();
        let (claimable, at_once) = self.model.claimable(webhook);
        self.same(claims.len(), claimable.len().min(limit).min(at_once));
        let failures = self.model.webhook(webhook).failures;
        for claim in &claims {
            let n = claimable.iter().find(|&&n| self.model.deliveries[n].event_id == claim.event_id);
            let n = *n.unwrap_or_else(|| panic!("{} can't be claimed {}", claim.event_id, self.at));
            let delivery = &mut self.model.deliveries[n];
            delivery.attempt += 1;
            delivery.lease = Some(true);
            let expected = (delivery.attempt, delivery.attempt - delivery.forgiven, failures);
            self.same((claim.attempt, claim.counted_attempt, claim.failures), expected);
        }
        if failures >= BREAKS_AT && !claims.is_empty() {
            self.model.webhook(webhook).is_paused = true;
        }
        let count = claims.len();
        self.claims.extend(claims.into_iter().map(|claim| Held { webhook, claim }));
        count
    }

    /// Finishes a claim, perhaps one that is over.
    async fn finish(&mut self) {
        if self.claims.is_empty() {
            return;
        }
        // Mostly one of the newest, or hardly any would be in time. A finished one goes to the old ones.
        let age = if self.chance.index(5) == 0 { self.claims.len() } else { self.claims.len().min(3) };
        let held = self.claims.remove(self.claims.len() - 1 - self.chance.index(age));
        self.claims.insert(0, held.clone());
        let fails = |rest| Health::Fails { rest, probe_pause: LEASE };
        // In bad times nearly everything fails, or no webhook would ever count as down.
        let chance = if self.is_bad_time { 10 + self.chance.index(30) } else { self.chance.index(20) };
        let (fate, health) = match chance {
            0..11 => (Fate::Delivered, Health::Works),
            11 => (Fate::Dead, Health::Works),
            12..26 => (Fate::Retry { after: Duration::ZERO }, fails(None)),
            26..31 => (Fate::Retry { after: LEASE }, fails(None)),
            31..33 => (Fate::Retry { after: LEASE }, fails(Some(LEASE))),
            33..39 => (Fate::Dead, fails(None)),
            _ => (Fate::Retry { after: Duration::ZERO }, Health::Gone),
        };
        self.finish_as(&held, fate, health).await;
    }

    async fn finish_as(&mut self, held: &Held, fate: Fate, health: Health) {
        let finish = Finish { fate, health, status: None, error: None };
        let finished = self.store().finish(&held.claim, &finish).await.unwrap();
        let expected = self.model.finish(held, fate, health);
        self.same(finished, expected);
    }

    /// Releases a claim. Its holder does not use it any more after that.
    async fn release(&mut self) {
        if self.claims.is_empty() {
            return;
        }
        let held = self.claims.remove(self.chance.index(self.claims.len()));
        self.store().release(std::slice::from_ref(&held.claim)).await.unwrap();
        if let Some(delivery) = self.model.held(&held) {
            delivery.attempt -= 1;
            delivery.lease = None;
            if held.claim.failures >= BREAKS_AT {
                self.model.webhook(held.webhook).is_paused = false;
            }
        }
    }

    async fn end_leases(&mut self) {
        sqlx::raw_sql(LEASES_END).execute(&mut self.connection).await.unwrap();
        for delivery in &mut self.model.deliveries {
            delivery.lease = delivery.lease.map(|_| false);
        }
    }

    async fn pass_time(&mut self) {
        sqlx::raw_sql(PASS_TIME).execute(&mut self.connection).await.unwrap();
        for delivery in &mut self.model.deliveries {
            delivery.is_due = true;
            delivery.lease = delivery.lease.map(|_| false);
        }
        for webhook in self.model.webhooks.values_mut() {
            webhook.is_paused = false;
        }
    }

    async fn retry(&mut self) {
        match self.chance.index(3) {
            0 => {
                let retried = self.store().retry_all().await.unwrap();
                let expected = self.model.retry(|_| true);
                self.same(retried, expected);
            }
            1 => {
                let webhook = self.chance.one_of(&WEBHOOKS);
                self.retry_webhook(webhook).await;
            }
            _ => {
                let event_id = format!("evt_{}", self.chance.index(20));
                let retried = self.store().retry_events(std::slice::from_ref(&event_id)).await.unwrap();
                let expected = self.model.retry(|delivery| delivery.event_id == event_id);
                let first = self.model.deliveries.iter().find(|delivery| delivery.event_id == event_id);
                let refusal = match first {
                    None => NotRetried { unknown: vec![event_id], not_dead: Vec::new() },
                    Some(first) => {
                        NotRetried { unknown: Vec::new(), not_dead: vec![(event_id, first.status)] }
                    }
                };
                self.same(retried, if expected.is_empty() { Err(refusal) } else { Ok(expected) });
            }
        }
    }

    async fn retry_webhook(&mut self, name: &'static str) {
        let retried = self.store().retry_webhook(name).await.unwrap().unwrap();
        let deliveries = self.model.retry(|delivery| delivery.webhook == name);
        let webhook = std::mem::take(self.model.webhook(name));
        let expected = Retried {
            webhook: name.to_owned(),
            deliveries: deliveries.first().map_or(0, |retried| retried.deliveries),
            switched_on: webhook.is_off,
            switched_off: false,
        };
        self.same(retried, expected);
    }

    /// Holds both tables against the model.
    async fn compare(&mut self) {
        type Row = (String, String, i64, DeliveryStatus, i32, i32, bool, Option<bool>);
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT d.event_id, d.webhook, t.number, d.status, d.attempt, d.forgiven_attempts,
                    d.next_attempt_at <= now(), d.lease_until > now()
             FROM deliveries d JOIN tickets t ON t.id = d.ticket_id ORDER BY d.id",
        )
        .fetch_all(&mut self.connection)
        .await
        .unwrap();
        let found: Vec<Delivery> = rows
            .into_iter()
            .map(|(event_id, webhook, ticket, status, attempt, forgiven, is_due, lease)| Delivery {
                event_id,
                webhook: WEBHOOKS.into_iter().find(|name| *name == webhook).unwrap(),
                ticket: u32::try_from(ticket).unwrap(),
                status,
                attempt,
                forgiven,
                is_due,
                lease,
            })
            .collect();
        for (found, modelled) in found.iter().zip(&self.model.deliveries) {
            self.same(found, modelled);
        }
        self.same(found.len(), self.model.deliveries.len());

        let rows: Vec<(String, i32, bool, bool)> = sqlx::query_as(
            "SELECT name, failures, coalesce(paused_until > now(), false), switched_off_at IS NOT NULL FROM webhooks",
        )
        .fetch_all(&mut self.connection)
        .await
        .unwrap();
        for (name, failures, is_paused, is_off) in rows {
            let modelled = self.model.webhooks.get(name.as_str()).cloned().unwrap_or_default();
            self.same(Webhook { failures, is_paused, is_off }, modelled);
        }
    }

    /// Whatever has happened, an operator can have everything delivered.
    async fn end(mut self) {
        self.at = format!("at the end, {}", self.at);
        self.pass_time().await;
        for webhook in WEBHOOKS {
            self.retry_webhook(webhook).await;
            while self.claim(webhook, 3).await > 0 {
                for held in self.claims.split_off(self.claims.len() - 1) {
                    self.finish_as(&held, Fate::Delivered, Health::Works).await;
                }
                self.end_leases().await;
            }
        }
        self.compare().await;
        let delivered = |delivery: &Delivery| delivery.status == DeliveryStatus::Delivered;
        assert!(self.model.deliveries.iter().all(delivered), "{}", self.at);
    }
}
