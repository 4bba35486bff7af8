//! The IMAP connection cut at every place where it can be: whatever was on its way, nothing is lost or doubled.

use std::collections::BTreeSet;
use std::time::Duration;

use devstack::{Direction, Fault, ImapProxy};
use postroom::{intake, mailbox};

use crate::support::{
    Intake, LIMIT, MESSAGES, MOVE, Site, assert_promise, mail, mails, run, start, wait_for_promise,
    wait_for_rows,
};

/// A mailbox behind a proxy, emptied cycle by cycle.
struct Field {
    site: Site,
    proxy: ImapProxy,
    intake: Intake,
    delivered: usize,
}

impl Field {
    async fn new() -> Self {
        let mut site = Site::new().await;
        let proxy = ImapProxy::to(&site.dovecot).await.unwrap();
        site.imap_port = proxy.port();
        let intake = Intake::of(&site).await;
        Self { site, proxy, intake, delivered: 0 }
    }

    fn deliver(&mut self, count: usize) {
        for number in self.delivered..self.delivered + count {
            self.site.account.deliver(&mail(&format!("m{number}"), "")).unwrap();
        }
        self.delivered += count;
    }

    /// How long a server may be silent.
    fn wait_at_most(&mut self, limit: Duration) {
        let mailbox = &mut self.intake.config.mailboxes[0];
        (mailbox.connect_timeout, mailbox.command_timeout, mailbox.stall_timeout) = (limit, limit, limit);
    }

    /// A cycle with trouble in it. Whether the trouble came.
    async fn broken_cycle(&mut self) -> bool {
        let strikes = self.proxy.strikes();
        let broken = self.intake.cycle().await;
        let struck = self.proxy.strikes() > strikes;
        self.proxy.pass();
        if struck {
            assert!(matches!(broken, Err(intake::Error::Mailbox(_))), "{broken:?}");
            // What has left the inbox is stored, and what is not stored is there.
            let stored = self.site.number(MESSAGES).await;
            let inbox = self.site.account.count("INBOX").unwrap();
            assert!(
                inbox + usize::try_from(stored).unwrap() >= self.delivered,
                "{inbox} in the inbox, {stored} stored"
            );
        } else {
            broken.unwrap();
        }
        struck
    }

    /// A cycle in peace, after which nothing is left to do.
    async fn recover(&mut self, after: &str) {
        self.intake.cycle().await.unwrap();
        assert_eq!(self.site.account.count("INBOX").unwrap(), 0, "{after}");
        assert_eq!(self.site.number(MESSAGES).await, i64::try_from(self.delivered).unwrap(), "{after}");
        let unsettled = "SELECT count(*) FROM ledger WHERE state <> 'settled'";
        assert_eq!(self.site.number(unsettled).await, 0, "{after}");
        assert_eq!(self.intake.tally.duplicates.get(), 0, "{after}");
    }

    /// Delivers to the helpdesk as well, and looks at everything.
    async fn assert_promise(self) {
        self.intake.store.release_lease(&self.intake.lease).await.unwrap();
        assert_eq!(run(&self.site.config_file(MOVE, ""), &["drain"]).await.0, Some(0));
        assert_promise(&self.site, self.delivered).await;
    }
}

/// Cuts ever later in a cycle, until one comes to its end. How many cuts that were.
async fn cut_everywhere(direction: Direction, step: usize) -> usize {
    let mut field = Field::new().await;
    let mut cuts = 0;
    for bytes in (0..).step_by(step) {
        field.deliver(2);
        field.proxy.cut_after(direction, bytes);
        if !field.broken_cycle().await {
            break;
        }
        field.recover(&format!("{direction:?} cut after {bytes} bytes")).await;
        cuts += 1;
    }
    field.assert_promise().await;
    cuts
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_says_may_be_cut_anywhere() {
    // No divisor of the lines' lengths, so that the cuts fall on all parts of them.
    let cuts = cut_everywhere(Direction::ToClient, 53).await;

    assert!(cuts > 25, "{cuts} cuts");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_client_says_may_be_cut_anywhere() {
    let cuts = cut_everywhere(Direction::ToServer, 9).await;

    assert!(cuts > 20, "{cuts} cuts");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_came_in_part_is_not_stored() {
    let mut field = Field::new().await;
    for bytes in [0, 1, 30, 150, 222] {
        field.deliver(2);
        // The first FETCH lists.
        field.proxy.after(1, "UID FETCH", Fault::CutInLiteral(bytes));

        assert!(field.broken_cycle().await);
        assert_eq!(field.site.account.count("INBOX").unwrap(), 2, "{bytes}");
        field.recover(&format!("cut after {bytes} bytes of a literal")).await;
    }
    field.assert_promise().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_nobody_confirmed_is_looked_up() {
    let mut field = Field::new().await;
    for (fault, moved) in [(Fault::CutBefore, 0), (Fault::CutAnswer, 2), (Fault::CutBeforeEnd, 2)] {
        field.deliver(2);
        field.proxy.at("UID MOVE", fault.clone());

        assert!(field.broken_cycle().await);
        assert_eq!(field.site.account.count("INBOX").unwrap(), 2 - moved, "{fault:?}");
        let unsettled = "SELECT count(*) FROM ledger WHERE state = 'recorded'";
        assert_eq!(field.site.number(unsettled).await, 2, "{fault:?}: the ledger does not know yet");
        field.recover(&format!("{fault:?}")).await;
    }
    field.assert_promise().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_move_a_cut_between_two_steps_loses_nothing() {
    let mut field = Field::new().await;
    field.proxy.hide(&["MOVE"]);
    // How many are in the inbox then, and how many copies were made for nothing.
    for (command, fault, inbox, copies) in [
        ("UID COPY", Fault::CutBefore, 2, 0),
        ("UID COPY", Fault::CutAnswer, 2, 2),
        // A copy that is known of is not made again.
        ("UID STORE", Fault::CutBefore, 2, 0),
        ("UID STORE", Fault::CutAnswer, 2, 0),
        ("UID EXPUNGE", Fault::CutBefore, 2, 0),
        ("UID EXPUNGE", Fault::CutAnswer, 0, 0),
    ] {
        let before = field.site.account.count("Processed").unwrap();
        field.deliver(2);
        field.proxy.at(command, fault.clone());

        assert!(field.broken_cycle().await);
        assert_eq!(field.site.account.count("INBOX").unwrap(), inbox, "{command} {fault:?}");
        field.recover(&format!("{command} {fault:?}")).await;
        assert_eq!(
            field.site.account.count("Processed").unwrap(),
            before + 2 + copies,
            "{command} {fault:?}"
        );
    }

    // A copy may be made again, but of each mail there is one.
    let processed: BTreeSet<_> = field.site.account.sources("Processed").unwrap().into_iter().collect();
    assert_eq!(processed.len(), field.delivered);
    assert!(!field.proxy.commands().iter().any(|command| command.starts_with("EXPUNGE")), "never a bare one");
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_at_any_command_ends_and_loses_nothing() {
    let mut field = Field::new().await;
    field.deliver(2);
    field.intake.cycle().await.unwrap();
    for (before, command, fault) in [
        (0, "LOGIN", Fault::StallAnswer),
        (0, "LIST", Fault::StallAnswer),
        (0, "SELECT", Fault::StallAnswer),
        (0, "UID FETCH", Fault::StallAnswer),
        (1, "UID FETCH", Fault::Stall),
        (1, "UID FETCH", Fault::StallAnswer),
        (0, "UID MOVE", Fault::Stall),
        (0, "UID MOVE", Fault::StallAnswer),
    ] {
        field.deliver(2);
        field.proxy.after(before, command, fault.clone());

        field.wait_at_most(Duration::from_millis(700));
        assert!(field.broken_cycle().await, "{command} {fault:?}");
        field.wait_at_most(LIMIT);
        field.recover(&format!("{command} {fault:?}")).await;
    }
    field.assert_promise().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_refused_or_reset_is_made_again() {
    let mut field = Field::new().await;
    field.deliver(2);
    field.proxy.refuse();
    let refused = field.intake.cycle().await;
    assert!(matches!(&refused, Err(intake::Error::Mailbox(error)) if error.is_transient()), "{refused:?}");
    field.proxy.pass();

    field.proxy.at("UID MOVE", Fault::StallAnswer);
    let (reset, ()) = tokio::join!(field.intake.cycle(), async {
        field.proxy.wait_for_strikes(1, LIMIT).await.unwrap();
        field.proxy.reset();
    });
    assert!(matches!(&reset, Err(intake::Error::Mailbox(error)) if error.is_transient()), "{reset:?}");

    field.recover("a reset").await;
    field.assert_promise().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_is_said_to_be_done_and_is_not_is_made_later() {
    let mut field = Field::new().await;
    field.deliver(2);
    field.proxy.at("UID MOVE", Fault::Answer("{tag} OK done"));

    field.intake.cycle().await.unwrap();
    assert_eq!(field.site.account.count("INBOX").unwrap(), 2);
    assert_eq!(field.site.number("SELECT count(*) FROM ledger WHERE state = 'settled'").await, 0);
    field.site.database.rows("UPDATE ledger SET retry_at = now() WHERE retry_at IS NOT NULL").await.unwrap();

    field.recover("an empty promise").await;
    field.assert_promise().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_throws_in_does_not_confuse_a_cycle() {
    let mut field = Field::new().await;
    for (before, command, line) in [
        (0, "SELECT", "* 0 RECENT"),
        (0, "UID FETCH", "* 1 FETCH (FLAGS (\\Seen))"),
        (1, "UID FETCH", "* 3 EXISTS"),
        (0, "UID MOVE", "* OK still here"),
    ] {
        field.deliver(2);
        field.proxy.after(before, command, Fault::Inject(line));
        field.recover(line).await;
    }
    field.proxy.at("SELECT", Fault::Answer("* BYE going down\r\n{tag} NO [UNAVAILABLE] going down"));
    let closed = field.intake.cycle().await;
    assert!(matches!(closed, Err(intake::Error::Mailbox(mailbox::Error::Closed { .. }))), "{closed:?}");
    field.assert_promise().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_worker_connects_again_after_each_cut() {
    let mut site = Site::new().await;
    let proxy = ImapProxy::to(&site.dovecot).await.unwrap();
    site.imap_port = proxy.port();
    let config = site.config_file(MOVE, "[intake]\nbatch_messages = 5\nsettle_messages = 10");
    site.account.deliver_many(mails(120)).unwrap();
    proxy.after(3, "UID MOVE", Fault::CutAnswer);
    let worker = start(&config, &["run"]);
    proxy.wait_for_strikes(1, LIMIT).await.unwrap();

    wait_for_rows(&site, MESSAGES, 60).await;
    proxy.reset();

    wait_for_promise(&site, 120).await;
    assert!((2..=3).contains(&proxy.taken()), "{} connections", proxy.taken());
    drop(worker);
}
