//! What mailboxes are logged in to with, against a real PostgreSQL and an identity platform that misbehaves.
//!
//! No token is waited for to end: a test shortens its life in the database, or says that a server has refused it.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed setup step is a failed test")]

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use devstack::identity::{Fault, Habits, Kind};
use devstack::{Database, Identity, Postgres, poll};
use postroom::config::{self, Auth, Config};
use postroom::credentials::{Credentials, Error, Obtained};
use postroom::mailbox::Credential;
use postroom::microsoft;
use postroom::microsoft::{Client, Grant, Poll};
use postroom::store::Store;
use secrecy::ExposeSecret;
use tempfile::TempDir;
use tokio::task::JoinSet;

/// No step of a test takes this long, not even on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OTHER_KEY: &str = "HxwdHhscGRoYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgE=";

/// An identity platform, and a database with what was signed in for.
struct World {
    identity: Identity,
    database: Database,
    folder: TempDir,
}

impl World {
    async fn start(habits: Habits) -> Self {
        let database = Postgres::shared().await.unwrap().database().await.unwrap();
        let identity = Identity::start(habits).await.unwrap();
        Self { identity, database, folder: TempDir::new().unwrap() }
    }

    /// A configuration whose mailboxes, named `support` and `returns`, have this in their `auth`.
    fn config(&self, auth: &str, secrets: &str) -> Config {
        let mailbox = |name: &str| {
            format!(
                r#"
                [[mailbox]]
                name = "{name}"
                host = "localhost"
                username = "{name}@example.com"
                [mailbox.auth]
                kind = "oauth2"
                client_id = "{client_id}"
                authority = "{url}"
                ca_file = "{ca}"
                {auth}
                "#,
                client_id = self.identity.client_id(),
                url = self.identity.url(),
                ca = self.identity.ca_pem_path().display(),
            )
        };
        let text = format!(
            "[database]\nurl = \"{}\"\n[secrets]\n{secrets}\n{}{}",
            self.database.url(),
            mailbox("support"),
            mailbox("returns")
        );
        let path = self.folder.path().join("postroom.toml");
        std::fs::write(&path, text).unwrap();
        Config::load(Some(&path), []).unwrap()
    }

    fn device(&self) -> Config {
        self.config("flow = \"device\"\ntenant = \"organizations\"", &format!("key = \"{KEY}\""))
    }

    fn application(&self, secret: &str) -> Config {
        let auth = "flow = \"client_credentials\"\ntenant = \"contoso.onmicrosoft.com\"";
        self.config(&format!("{auth}\nclient_secret = \"{secret}\""), "")
    }

    /// A worker's credentials.
    async fn credentials(&self, config: &Config) -> Credentials {
        let store = Store::connect(&config.database).await.unwrap();
        store.migrate().await.unwrap();
        store.register_mailboxes(&config.mailboxes).await.unwrap();
        Credentials::new(&config.secrets, store)
    }

    /// Signs in to the first mailbox, as `postroom login` does.
    async fn sign_in(&self, config: &Config, credentials: &Credentials) {
        let grant = self.grant(config).await;
        credentials.sign_in("support", &grant).await.unwrap();
    }

    async fn grant(&self, config: &Config) -> Grant {
        let Auth::OAuth2(oauth2) = &config.mailboxes[0].auth else { unreachable!() };
        let client = Client::new(oauth2).unwrap();
        let code = client.device_code().await.unwrap();
        assert!(matches!(client.poll(&code).await.unwrap(), Poll::Pending));
        self.identity.approve("support@example.com").unwrap();
        match client.poll(&code).await.unwrap() {
            Poll::Granted(grant) => grant,
            other => unreachable!("{other:?}"),
        }
    }

    /// Lets the stored access token be about to end.
    async fn age(&self) {
        self.shift("interval '59 min'").await;
    }

    /// Lets it have ended.
    async fn expire(&self) {
        self.shift("interval '61 min'").await;
    }

    async fn shift(&self, earlier: &str) {
        let aged = format!(
            "UPDATE oauth_tokens SET renewed_at = renewed_at - {earlier}, expires_at = expires_at - {earlier}"
        );
        self.database.rows(&aged).await.unwrap();
    }

    async fn generation(&self) -> i64 {
        self.database.value("SELECT generation FROM oauth_tokens").await.unwrap().parse().unwrap()
    }
}

fn token(obtained: &Obtained) -> String {
    match &obtained.credential {
        Credential::Token(token) => token.expose_secret().to_owned(),
        Credential::Password(_) => unreachable!("a token was asked for"),
    }
}

async fn obtain(credentials: &Credentials, mailbox: &config::Mailbox) -> Obtained {
    credentials.obtain(mailbox).await.unwrap()
}

#[tokio::test]
async fn what_was_signed_in_for_is_used_until_it_is_about_to_end() {
    let world = World::start(Habits::default()).await;
    let config = world.device();
    let (credentials, mailbox) = (world.credentials(&config).await, &config.mailboxes[0]);
    let missing = credentials.obtain(mailbox).await.unwrap_err();
    assert!(matches!(missing, Error::NotSignedIn), "{missing}");
    assert!(!missing.is_transient() && missing.cure().contains("postroom login"));

    world.sign_in(&config, &credentials).await;
    let first = obtain(&credentials, mailbox).await;
    let again = obtain(&credentials, mailbox).await;
    assert_eq!(token(&first), token(&again));
    assert_eq!(world.identity.count(Kind::Refresh), 0);
    // Five minutes before its hour is over.
    let renew_in = first.renew_in.unwrap().as_secs();
    assert!((54 * 60..=55 * 60).contains(&renew_in), "{renew_in}");

    world.age().await;
    let next = obtain(&credentials, mailbox).await;
    assert_ne!(token(&next), token(&first));
    assert!(world.identity.tokens().access(&token(&next)).is_some());
    assert_eq!(world.generation().await, 2);
}

#[tokio::test]
async fn refresh_tokens_rotate_even_where_each_is_good_for_once_only() {
    let world = World::start(Habits { strict_rotation: true, ..Habits::default() }).await;
    let config = world.device();
    let credentials = world.credentials(&config).await;
    world.sign_in(&config, &credentials).await;

    for _ in 0..5 {
        world.age().await;
        obtain(&credentials, &config.mailboxes[0]).await;
    }

    let used: Vec<_> = world.identity.records().iter().filter_map(|record| record.generation).collect();
    assert_eq!(used, [0, 1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_that_renew_at_once_ask_once() {
    let world = World::start(Habits { strict_rotation: true, ..Habits::default() }).await;
    let config = world.device();
    let (one, other) = (world.credentials(&config).await, world.credentials(&config).await);
    world.sign_in(&config, &one).await;
    world.age().await;
    world.identity.fail_next(1, Fault::Held);

    let (mailbox, mailboxes) = (&config.mailboxes[0], config.mailboxes.clone());
    let second = async {
        // The first is waiting for its answer, and the second for the first.
        world.identity.wait_for(Kind::Refresh, 1, LIMIT).await.unwrap();
        let second = tokio::spawn(async move { other.obtain(&mailboxes[0]).await.unwrap() });
        let waiting = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        poll::until("the second worker to wait", LIMIT, async || {
            let count = world.database.value(waiting).await?;
            ensure!(count == "1", "{count} wait");
            Ok(())
        })
        .await
        .unwrap();
        world.identity.release();
        second.await.unwrap()
    };
    let (first, second) = tokio::join!(obtain(&one, mailbox), second);

    assert_eq!(token(&first), token(&second));
    assert_eq!(world.identity.count(Kind::Refresh), 1);
}

#[tokio::test]
async fn a_token_that_a_server_refuses_is_replaced_although_it_seems_good() {
    let world = World::start(Habits::default()).await;
    let config = world.device();
    let (credentials, mailbox) = (world.credentials(&config).await, &config.mailboxes[0]);
    world.sign_in(&config, &credentials).await;
    let refused = obtain(&credentials, mailbox).await;

    credentials.reject(mailbox, &refused).await;
    let next = obtain(&credentials, mailbox).await;
    assert_ne!(token(&refused), token(&next));

    // What another worker has renewed since is not what was refused.
    credentials.reject(mailbox, &refused).await;
    assert_eq!(token(&obtain(&credentials, mailbox).await), token(&next));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_is_stored_although_nobody_waits_for_it_any_more() {
    let world = World::start(Habits { strict_rotation: true, ..Habits::default() }).await;
    let config = world.device();
    let credentials = world.credentials(&config).await;
    world.sign_in(&config, &credentials).await;
    world.age().await;
    world.identity.fail_next(1, Fault::Held);

    tokio::select! {
        _ = credentials.obtain(&config.mailboxes[0]) => unreachable!("the answer is held"),
        asked = world.identity.wait_for(Kind::Refresh, 1, LIMIT) => asked.unwrap(),
    }
    world.identity.release();

    poll::until("the renewal to be stored", LIMIT, async || {
        let generation = world.generation().await;
        ensure!(generation == 2, "it is at {generation}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn an_answer_that_is_lost_costs_nothing_at_microsoft_and_a_sign_in_where_rotation_is_strict() {
    for strict_rotation in [false, true] {
        let world = World::start(Habits { strict_rotation, ..Habits::default() }).await;
        let config = world.device();
        let (credentials, mailbox) = (world.credentials(&config).await, &config.mailboxes[0]);
        world.sign_in(&config, &credentials).await;
        world.expire().await;
        world.identity.fail_next(1, Fault::HangUpAfter);

        let lost = credentials.obtain(mailbox).await.unwrap_err();
        assert!(lost.is_transient(), "{lost}");
        assert_eq!(world.generation().await, 1);

        match credentials.obtain(mailbox).await {
            Ok(_) => assert!(!strict_rotation),
            Err(Error::Microsoft(error)) => {
                assert!(strict_rotation && error.needs_sign_in(), "{error}");
                assert!(error.cure().contains("postroom login"), "{}", error.cure());
            }
            Err(other) => unreachable!("{other}"),
        }
    }
}

#[tokio::test]
async fn a_pause_that_the_platform_asks_for_is_passed_on() {
    let world = World::start(Habits::default()).await;
    let config = world.device();
    let credentials = world.credentials(&config).await;
    world.sign_in(&config, &credentials).await;
    world.expire().await;
    world.identity.fail_next(1, Fault::Throttled(Some(17)));

    let throttled = credentials.obtain(&config.mailboxes[0]).await.unwrap_err();

    assert_eq!(throttled.retry_after(), Some(Duration::from_secs(17)));
    assert!(throttled.is_transient());
}

#[tokio::test]
async fn a_token_that_is_still_good_is_used_when_it_cannot_be_renewed_yet() {
    let world = World::start(Habits::default()).await;
    let config = world.device();
    let (credentials, mailbox) = (world.credentials(&config).await, &config.mailboxes[0]);
    world.sign_in(&config, &credentials).await;
    let first = obtain(&credentials, mailbox).await;
    world.age().await;
    world.identity.fail_next(2, Fault::Unavailable);

    let same = obtain(&credentials, mailbox).await;
    assert_eq!(token(&same), token(&first));
    assert!(same.renew_in.unwrap() <= Duration::from_mins(1), "and the next try is soon");

    // Not one that a server has refused.
    credentials.reject(mailbox, &same).await;
    assert!(matches!(credentials.obtain(mailbox).await, Err(Error::Microsoft(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn renewals_that_hang_leave_the_database_to_others() {
    let world = World::start(Habits::default()).await;
    let config = world.device();
    let credentials = Arc::new(world.credentials(&config).await);
    let copies = "INSERT INTO mailboxes (name, host, account, folder)
                  SELECT 'box-' || n, 'h', 'a', 'INBOX' FROM generate_series(1, 20) n";
    world.database.rows(copies).await.unwrap();
    let grant = world.grant(&config).await;
    let mut waiting = JoinSet::new();
    for number in 1..=20 {
        credentials.sign_in(&format!("box-{number}"), &grant).await.unwrap();
    }
    world.age().await;
    world.identity.fail_next(20, Fault::Held);
    for number in 1..=20 {
        let name = format!("box-{number}");
        let mailbox = config::Mailbox { name, ..config.mailboxes[0].clone() };
        let credentials = Arc::clone(&credentials);
        waiting.spawn(async move { credentials.obtain(&mailbox).await.map(drop) });
    }
    world.identity.wait_for(Kind::Refresh, 2, LIMIT).await.unwrap();

    // Of the pool's seven connections, two wait for the platform.
    let taken = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'";
    assert_eq!(world.database.value(taken).await.unwrap(), "2");
    for _ in 0..5 {
        let asked = tokio::time::timeout(LIMIT, credentials.obtain(&config.mailboxes[1])).await.unwrap();
        assert!(matches!(asked, Err(Error::NotSignedIn)));
    }
    waiting.abort_all();
}

#[tokio::test]
async fn tokens_rest_sealed_and_move_to_a_new_key() {
    let world = World::start(Habits::default()).await;
    let config = world.device();
    let (credentials, mailbox) = (world.credentials(&config).await, &config.mailboxes[0]);
    world.sign_in(&config, &credentials).await;
    let token = token(&obtain(&credentials, mailbox).await);
    let in_clear = format!(
        "SELECT count(*) FROM oauth_tokens WHERE position(convert_to('{token}', 'UTF8') IN sealed) > 0"
    );
    assert_eq!(world.database.value(&in_clear).await.unwrap(), "0");

    let device = "flow = \"device\"\ntenant = \"organizations\"";
    let without = world.config(device, &format!("key = \"{OTHER_KEY}\""));
    let lost = world.credentials(&without).await.obtain(mailbox).await.unwrap_err();
    assert!(matches!(lost, Error::Seal(_)), "{lost}");
    assert!(lost.cure().contains("previous_key"), "{}", lost.cure());

    let rotated = world.config(device, &format!("key = \"{OTHER_KEY}\"\nprevious_key = \"{KEY}\""));
    obtain(&world.credentials(&rotated).await, mailbox).await;
    let moved = obtain(&world.credentials(&without).await, mailbox).await;
    assert_eq!(self::token(&moved), token, "sealed anew, and no other");
    assert_eq!(world.identity.count(Kind::Refresh), 0, "nobody need be asked for that");
}

#[tokio::test]
async fn what_is_sealed_for_one_mailbox_is_nothing_in_anothers_row() {
    let world = World::start(Habits::default()).await;
    let config = world.device();
    let credentials = world.credentials(&config).await;
    world.sign_in(&config, &credentials).await;
    let copy =
        "INSERT INTO oauth_tokens SELECT m.id, sealed, generation, signed_in_at, renewed_at, expires_at
                FROM oauth_tokens, mailboxes m WHERE m.name = 'returns'";
    world.database.rows(copy).await.unwrap();

    let error = credentials.obtain(&config.mailboxes[1]).await.unwrap_err();

    assert!(matches!(error, Error::Seal(_)), "{error}");
}

#[tokio::test]
async fn mailboxes_of_one_application_share_its_token() {
    let world = World::start(Habits::default()).await;
    let config = world.application(world.identity.client_secret());
    let credentials = world.credentials(&config).await;

    let (one, other) =
        tokio::join!(obtain(&credentials, &config.mailboxes[0]), obtain(&credentials, &config.mailboxes[1]));
    assert_eq!(token(&one), token(&other));
    assert_eq!(world.identity.count(Kind::Secret), 1);

    credentials.reject(&config.mailboxes[0], &one).await;
    let next = obtain(&credentials, &config.mailboxes[1]).await;
    assert_ne!(token(&next), token(&one));
}

#[tokio::test]
async fn applications_that_prove_themselves_differently_are_not_one() {
    let world = World::start(Habits::default()).await;
    let (good, bad) =
        (world.application(world.identity.client_secret()), world.application("a former secret"));
    let credentials = world.credentials(&good).await;

    assert!(credentials.obtain(&bad.mailboxes[0]).await.is_err());
    assert!(credentials.obtain(&good.mailboxes[0]).await.is_ok());
}

#[tokio::test]
async fn what_is_wrong_with_an_application_is_told_with_its_cure() {
    let world = World::start(Habits::default()).await;
    let config = world.application("not the secret");
    let credentials = world.credentials(&config).await;

    let wrong = credentials.obtain(&config.mailboxes[0]).await.unwrap_err();
    assert!(credentials.obtain(&config.mailboxes[1]).await.is_err());
    assert_eq!(world.identity.count(Kind::Secret), 1, "not once for each mailbox");

    let Error::Microsoft(refused) = &wrong else { unreachable!("{wrong}") };
    assert!(matches!(**refused, microsoft::Error::Refused { .. }), "{refused}");
    assert!(!wrong.is_transient() && wrong.cure().contains("secret"), "{}", wrong.cure());
}
