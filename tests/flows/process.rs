//! The built binary, run as an operator runs it, on real servers, killed and cut at bad moments.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::{
    DELIVERED, LIMIT, MESSAGES, MOVE, SECRET, Site, assert_promise, expire_leases, mail, mails, run, start,
    wait_for_rows,
};
use devstack::{Durability, Options, Postgres, Signal};

#[tokio::test(flavor = "multi_thread")]
async fn mail_goes_in_and_signed_webhooks_come_out() {
    let site = Site::new().await;
    site.account.deliver_many(mails(40)).unwrap();
    let config = site.config_file(MOVE, "");
    let mut worker = start(&config, &["run"]);

    let requests = site.helpdesk.wait_for(40, LIMIT).await.unwrap();
    wait_for_rows(&site, DELIVERED, 40).await;
    site.account.wait_for_count("INBOX", 0, LIMIT).await.unwrap();
    worker.signal(Signal::TERM).unwrap();
    assert!(worker.wait(LIMIT).await.unwrap().success());

    assert_promise(&site, 40).await;
    let webhook = standardwebhooks::Webhook::new(SECRET).unwrap();
    for request in requests {
        let mut headers = http::HeaderMap::new();
        for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            headers.insert(name, request.header(name).unwrap().parse().unwrap());
        }
        webhook.verify(&request.body, &headers).unwrap();
        assert_eq!(request.header("idempotency-key"), request.header("webhook-id"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn new_mail_is_found_while_the_worker_runs() {
    let site = Site::new().await;
    let config = site.config_file(MOVE, "");
    let mut worker = start(&config, &["run"]);
    worker.wait_for_line("logged in", LIMIT).await.unwrap();

    for round in 1..=3 {
        site.account.deliver(&mail(&format!("round{round}"), "")).unwrap();
        site.helpdesk.wait_for(round, LIMIT).await.unwrap();
    }

    wait_for_rows(&site, DELIVERED, 3).await;
    site.account.wait_for_count("INBOX", 0, LIMIT).await.unwrap();
    assert_promise(&site, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_finishes_the_unit_in_hand() {
    let site = Site::new().await;
    site.account.deliver_many(mails(400)).unwrap();
    let config = site.config_file(MOVE, "[intake]\nbatch_messages = 4\nsettle_messages = 8");
    let mut worker = start(&config, &["run"]);
    wait_for_rows(&site, MESSAGES, 8).await;

    worker.signal(Signal::TERM).unwrap();
    let status = worker.wait(LIMIT).await.unwrap();

    assert_eq!(status.code(), Some(0), "{}", worker.log_tail());
    // It stopped in the middle, and what it had stored it has also settled.
    let unsettled = "SELECT count(*) FROM ledger WHERE state = 'recorded'";
    assert_eq!(site.number(unsettled).await, 0);
    let stored = usize::try_from(site.number(MESSAGES).await).unwrap();
    assert!(stored < 400, "it went on to the end");
    assert_eq!(site.account.count("INBOX").unwrap(), 400 - stored);
    assert_eq!(
        site.number("SELECT count(*) FROM mailboxes WHERE lease_until IS NULL").await,
        1,
        "lease given back"
    );

    assert_eq!(run(&config, &["drain"]).await.0, Some(0));
    assert_promise(&site, 400).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_stops_at_once() {
    let site = Site::new().await;
    site.helpdesk.answer(devstack::Answer::status(200).held());
    site.account.deliver(&mail("a", "")).unwrap();
    let config = site.config_file(MOVE, "[ops]\nshutdown_grace = \"1h\"").clone();
    let config = fix_ops(&config);
    let mut worker = start(&config, &["run"]);
    site.helpdesk.wait_for(1, LIMIT).await.unwrap();

    worker.signal(Signal::INT).unwrap();
    worker.wait_for_line("signal again to stop at once", LIMIT).await.unwrap();
    worker.signal(Signal::INT).unwrap();

    assert_eq!(worker.wait(LIMIT).await.unwrap().code(), Some(0));
}

/// The site's file has an `[ops]` of its own: TOML takes a table once.
fn fix_ops(config: &Path) -> std::path::PathBuf {
    let text =
        std::fs::read_to_string(config).unwrap().replacen("listen = \"off\"", "", 1).replacen("[ops]", "", 1);
    std::fs::write(config, text.replace("[ops]", "[ops]\nlisten = \"off\"")).unwrap();
    config.to_path_buf()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_record_and_settle_it_settles_and_doubles_nothing() {
    let site = Site::new().await;
    let config = site.config_file(MOVE, "");
    site.account.deliver(&mail("first", "")).unwrap();
    assert_eq!(run(&config, &["drain"]).await.0, Some(0));
    // Nothing can be moved for now, so that the worker stands between the two steps when it is killed.
    let target = site.account.maildir().join(".Processed");
    let lock = |mode| {
        for part in ["cur", "new", "tmp", ""] {
            std::fs::set_permissions(target.join(part), std::fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    lock(0o500);
    site.account.deliver_many(mails(30)).unwrap();
    let mut worker = start(&config, &["run"]);
    wait_for_rows(&site, "SELECT count(*) FROM ledger WHERE state = 'recorded'", 30).await;
    worker.signal(Signal::KILL).unwrap();
    worker.wait(LIMIT).await.unwrap();
    assert_eq!(site.account.count("INBOX").unwrap(), 30);

    lock(0o700);
    site.database.rows("UPDATE ledger SET retry_at = now() WHERE retry_at IS NOT NULL").await.unwrap();
    expire_leases(&site).await;
    assert_eq!(run(&config, &["drain"]).await.0, Some(0));

    assert_promise(&site, 31).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_it_loses_and_doubles_nothing() {
    let site = Site::new().await;
    let total = 240;
    site.account.deliver_many(mails(total)).unwrap();
    let config = site.config_file(MOVE, "[intake]\nbatch_messages = 5\nsettle_messages = 15");

    // Killed at a different progress each time, by what is in the database at that moment.
    for goal in [1, 6, 20, 21, 40, 60, 80, 101, 130, 150, 170] {
        let mut worker = start(&config, &["run"]);
        wait_for_rows(&site, MESSAGES, goal).await;
        worker.signal(Signal::KILL).unwrap();
        worker.wait(LIMIT).await.unwrap();
        expire_leases(&site).await;
    }
    let (code, out, err) = run(&config, &["drain"]).await;

    assert_eq!(code, Some(0), "{out}{err}");
    assert_promise(&site, total).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_said_and_loses_nothing() {
    let site = Site::new().await;
    site.account.deliver(&mail("a", "")).unwrap();
    let config = site.config_file(MOVE, "");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace(site.account.password(), "not-the-password")).unwrap();

    let (code, out, _) = run(&config, &["drain"]).await;
    assert_eq!(code, Some(1));
    assert!(out.contains("login refused") && out.contains("Check the user name and the password"), "{out}");

    let (code, out, _) = run(&config, &["check"]).await;
    assert_eq!(code, Some(1));
    assert!(out.contains("FAIL  mailbox support: login refused"), "{out}");
    assert_eq!(site.account.count("INBOX").unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_are_down_at_start_are_waited_for() {
    let mut postgres = Postgres::start(Durability::Processes).await.unwrap();
    let database = postgres.database().await.unwrap();
    let mut site = Site::on(Options::default(), database).await;
    site.account.deliver_many(mails(5)).unwrap();
    postgres.stop().await.unwrap();
    site.dovecot.stop().await.unwrap();

    let config = site.config_file(MOVE, "");
    let mut worker = start(&config, &["run"]);
    worker.wait_for_line("the database is not there yet", LIMIT).await.unwrap();
    postgres.start_again().await.unwrap();
    worker.wait_for_line("starting over after a pause", LIMIT).await.unwrap();
    site.dovecot.start_again().await.unwrap();

    wait_for_rows(&site, DELIVERED, 5).await;
    site.account.wait_for_count("INBOX", 0, LIMIT).await.unwrap();
    assert_promise(&site, 5).await;
    worker.signal(Signal::TERM).unwrap();
    worker.wait(LIMIT).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_killed_meanwhile_is_waited_for() {
    let mut postgres = Postgres::start(Durability::Processes).await.unwrap();
    let database = postgres.database().await.unwrap();
    let site = Site::on(Options::default(), database).await;
    site.account.deliver_many(mails(200)).unwrap();
    let config = site.config_file(MOVE, "[intake]\nbatch_messages = 5\nsettle_messages = 10");
    let mut worker = start(&config, &["run"]);
    wait_for_rows(&site, MESSAGES, 10).await;

    postgres.kill9().await.unwrap();
    postgres.start_again().await.unwrap();

    wait_for_rows(&site, DELIVERED, 200).await;
    site.account.wait_for_count("INBOX", 0, LIMIT).await.unwrap();
    assert_promise(&site, 200).await;
    worker.signal(Signal::TERM).unwrap();
    worker.wait(LIMIT).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_is_down_for_a_while_gets_everything() {
    let mut site = Site::new().await;
    site.helpdesk.stop().await.unwrap();
    site.account.deliver_many(mails(3)).unwrap();
    let config = site.config_file(MOVE, "");
    let mut worker = start(&config, &["run"]);
    worker.wait_for_line("delivery failed and will be tried again", LIMIT).await.unwrap();
    // Mail is emptied all the same.
    site.account.wait_for_count("INBOX", 0, LIMIT).await.unwrap();

    site.helpdesk.start_again().await.unwrap();

    wait_for_rows(&site, DELIVERED, 3).await;
    assert_promise(&site, 3).await;
    worker.signal(Signal::TERM).unwrap();
    worker.wait(LIMIT).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_at_once_lose_and_double_nothing() {
    let site = Site::new().await;
    site.account.deliver_many(mails(150)).unwrap();
    let config = site.config_file(MOVE, "[intake]\nbatch_messages = 10");
    let mut workers = [start(&config, &["run"]), start(&config, &["run"])];

    wait_for_rows(&site, DELIVERED, 150).await;
    site.account.wait_for_count("INBOX", 0, LIMIT).await.unwrap();
    for worker in &mut workers {
        worker.signal(Signal::TERM).unwrap();
        assert!(worker.wait(LIMIT).await.unwrap().success());
    }

    assert_promise(&site, 150).await;
    assert_eq!(site.helpdesk.requests().len(), 150, "no delivery was attempted by both");
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_hold_nothing_private() {
    let mut site = Site::new().await;
    let canaries = ["canary-name", "canary-box", "canary-subject", "canary-body", "canary-id", "canary-file"];
    let canary = "Message-ID: <canary-id@example.com>\nFrom: canary-name <canary-box@example.com>\n\
                  To: canary-box@example.com\nSubject: canary-subject\nMIME-Version: 1.0\n\
                  Content-Type: text/plain; name=\"canary-file.txt\"\n\ncanary-body\n";
    site.account.deliver(canary.as_bytes()).unwrap();
    site.helpdesk.stop().await.unwrap();
    let log = "[log]\nfilter = \"trace\"\nformat = \"json\"";
    let config = site.config_file(MOVE, log);
    let mut worker = start(&config, &["run"]);
    worker.wait_for_line("delivery failed and will be tried again", LIMIT).await.unwrap();
    site.helpdesk.start_again().await.unwrap();
    wait_for_rows(&site, DELIVERED, 1).await;
    worker.signal(Signal::TERM).unwrap();
    worker.wait(LIMIT).await.unwrap();
    let logged = worker.stdout().unwrap() + &worker.stderr().unwrap();

    let secret = SECRET.trim_start_matches("whsec_");
    for private in canaries.iter().copied().chain([site.account.password(), secret]) {
        assert!(!logged.contains(private), "{private} is in the log");
    }
    assert!(logged.contains("\"level\":\"DEBUG\""), "the log was to say a lot");
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_bounded_by_the_batch() {
    let site = Site::new().await;
    let config = site.config_file(MOVE, "[intake]\nbatch_bytes = \"1 MiB\"");
    let peak = async |count: usize| {
        for i in 0..count {
            let mut large = mail(&format!("large{count}-{i}"), "");
            // Not compressible, and no two alike.
            let line = |j: usize| format!("{:016x}\n", (i * 7_919 + j).wrapping_mul(0x9E37_79B9_7F4A_7C15));
            large.extend((0..12_000).flat_map(|j| line(j).into_bytes()));
            site.account.deliver(&large).unwrap();
        }
        let mut worker = start(&config, &["run"]);
        site.account.wait_for_count("INBOX", 0, LIMIT).await.unwrap();
        let status = std::fs::read_to_string(format!("/proc/{}/status", worker.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
        let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        worker.signal(Signal::TERM).unwrap();
        worker.wait(LIMIT).await.unwrap();
        kib / 1024
    };

    let (few, many) = (peak(40).await, peak(240).await);

    assert!(many <= few + 16, "{few} MiB for 8 MB of mail, {many} MiB for 48 MB");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_configuration_names_every_problem_and_exits_78() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("postroom.toml");
    std::fs::write(
        &config,
        "[intake]\nbatch_mesages = 1\n[[mailbox]]\nname = \"a b\"\npassword = \"canary\"\n",
    )
    .unwrap();

    let (code, out, err) = run(&config, &["run"]).await;

    assert_eq!(code, Some(78));
    for said in ["batch_mesages", "batch_messages", "name", "postroom.toml", "username"] {
        assert!(err.contains(said), "{said} is missing in: {err}");
    }
    assert!(!err.contains("canary") && out.is_empty());
    assert_eq!(run(&folder.path().join("nowhere.toml"), &["run"]).await.0, Some(78));
    assert_eq!(run(&config, &["walk"]).await.0, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_can_look_at_what_came_of_it() {
    let site = Site::new().await;
    let mut reply = mail("b", "In-Reply-To: <a@example.com>\n");
    reply.extend(b"\nOn Mon, 5 Jan 2026 at 10:00, Support wrote:\n> Hello, this is quoted.\n");
    site.account.deliver_many([mail("a", ""), reply]).unwrap();
    let config = site.config_file(MOVE, "");
    let (code, _, err) = run(&config, &["tickets", "list"]).await;
    assert_eq!(code, Some(1));
    assert!(err.contains("postroom migrate"), "{err}");
    let migrations = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap().count();
    assert_eq!(run(&config, &["migrate"]).await.1, format!("{migrations} migrations applied.\n"));
    assert_eq!(run(&config, &["migrate"]).await.1, "The database is up to date.\n");
    let (code, out, _) = run(&config, &["check"]).await;
    assert_eq!((code, out.ends_with("All is well.\n")), (Some(0), true), "{out}");

    let (code, out, _) = run(&config, &["drain"]).await;
    assert_eq!(code, Some(0));
    assert!(out.starts_with("support: 2 recorded, 0 duplicates, 2 settled"), "{out}");

    let (_, list, _) = run(&config, &["tickets", "list"]).await;
    assert!(list.contains("Ann <ann@example.com>") && list.contains("About a"), "{list}");
    let (_, json, _) = run(&config, &["tickets", "list", "--json"]).await;
    assert!(json.contains("\"message_count\": 2"), "{json}");
    let (_, ticket, _) = run(&config, &["tickets", "show", "1"]).await;
    assert!(ticket.contains("Hello, this is b.") && ticket.contains("Filed here by in_reply_to"), "{ticket}");
    assert!(!ticket.contains("quoted.") && ticket.contains("--full"), "{ticket}");
    let (_, ticket, _) = run(&config, &["tickets", "show", "1", "--full"]).await;
    assert!(ticket.contains("Hello, this is quoted.") && !ticket.contains("--full"), "{ticket}");
    let (code, _, err) = run(&config, &["tickets", "show", "99"]).await;
    assert_eq!(code, Some(1));
    assert!(err.contains("there is no ticket 99"), "{err}");
    let (_, deliveries, _) = run(&config, &["deliveries", "list"]).await;
    assert_eq!(deliveries.matches("delivered").count(), 2, "{deliveries}");
    let (code, shown, _) = run(&config, &["config"]).await;
    assert_eq!(code, Some(0));
    assert!(!shown.contains(site.account.password()) && !shown.contains(SECRET), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wrote_a_mail_is_stored_told_and_shown() {
    let site = Site::new().await;
    let bounce = "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n\
                  --b\n\nIt did not arrive.\n--b\nContent-Type: message/delivery-status\n\n\
                  Final-Recipient: rfc822; bob@example.org\nAction: failed\nStatus: 5.1.1\n\
                  --b\nContent-Type: text/rfc822-headers\n\nMessage-ID: <sent@example.com>\n--b--\n";
    let ours = mail("d", "").strip_suffix(b"\n").unwrap().to_vec();
    let ours = String::from_utf8(ours).unwrap().replace("ann@example.com", "help@example.com");
    site.account
        .deliver_many([
            mail("a", "Authentication-Results: mx.example.com; dmarc=pass header.from=example.com\n"),
            mail("b", "In-Reply-To: <a@example.com>\nAuto-Submitted: auto-replied\nReturn-Path: <>\n"),
            mail("c", bounce),
            ours.into_bytes(),
        ])
        .unwrap();
    let lists = "addresses = [\"help@example.com\"]\ntrusted_authserv = [\"mx.example.com\"]";
    let config = site.config_file(&format!("{MOVE}\n{lists}"), "");
    assert_eq!(run(&config, &["migrate"]).await.0, Some(0));

    assert_eq!(run(&config, &["drain"]).await.0, Some(0));

    let stored = site
        .database
        .rows(
            "SELECT m.message_id, m.verdict, array_to_string(m.signals, ' '), m.suppress_auto_response,
                    m.report #>> '{recipients,0,address}', m.report #>> '{original,message_id}',
                    m.authentication ->> 'dmarc', v.verdict
             FROM messages m LEFT JOIN dashboard.tickets v ON v.id = m.ticket_id ORDER BY m.message_id",
        )
        .await
        .unwrap();
    assert_eq!(
        stored,
        [
            ["a@example.com", "human", "", "f", "", "", "pass", "human"],
            ["b@example.com", "auto_reply", "null_return_path auto_replied", "t", "", "", "", "human"],
            [
                "c@example.com",
                "bounce_failed",
                "delivery_report",
                "t",
                "bob@example.org",
                "sent@example.com",
                "",
                // What nobody's mail led to, and what is our own, opens no ticket.
                ""
            ],
            ["d@example.com", "own_loop", "own_address", "t", "", "", "", ""],
        ]
    );
    let told = site
        .database
        .rows(
            "SELECT e.body -> 'data' -> 'automation' ->> 'verdict', e.body #>> '{data,bounce,recipients,0,status}',
                    e.body #>> '{data,authentication,aligned}'
             FROM (SELECT body::jsonb FROM deliveries) e ORDER BY e.body #>> '{data,message,message_id}'",
        )
        .await
        .unwrap();
    assert_eq!(told, [["human", "", "true"], ["auto_reply", "", ""], ["bounce_failed", "5.1.1", ""]]);
    let (_, shown, _) = run(&config, &["tickets", "show", "1"]).await;
    assert_eq!(shown.matches("Verdict: ").count(), 1, "{shown}");
    assert!(shown.contains("Verdict: auto_reply (null_return_path, auto_replied)"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stays_makes_drain_fail_and_say_why() {
    let site = Site::new().await;
    let config = site.config_file(MOVE, "[intake]\nmax_message_bytes = 2000\nbatch_bytes = 1000");
    let mut large = mail("large", "");
    large.extend("A long line of nothing much.\n".repeat(200).into_bytes());
    site.account.deliver_many([mail("small", ""), large]).unwrap();

    let (code, out, _) = run(&config, &["drain"]).await;

    assert_eq!(code, Some(1));
    assert!(out.contains("1 held in the mailbox: larger than max_message_bytes"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn drain_waits_for_the_lease_of_a_killed_worker_to_end() {
    let site = Site::new().await;
    let config = site.config_file(MOVE, "");
    assert_eq!(run(&config, &["drain"]).await.0, Some(0));
    site.account.deliver(&mail("a", "")).unwrap();
    let killed = "UPDATE mailboxes SET lease_holder = 'killed', lease_until = now() + interval '1 hour'";
    site.database.rows(killed).await.unwrap();

    let mut drain = start(&config, &["drain"]);
    drain.wait_for_line("waiting for its lease to end", LIMIT).await.unwrap();
    expire_leases(&site).await;

    assert!(drain.wait(LIMIT).await.unwrap().success(), "{}", drain.log_tail());
    assert_promise(&site, 1).await;
}
