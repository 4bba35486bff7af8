//! Servers that have had enough: of our commands, of the token, of the account. No message is at fault.

use std::time::Duration;

use super::outlook::Outlook;
use devstack::exchange::Reaction;
use postroom::mailbox::Remedy;

/// Every command of a cycle, by what is only in its line.
const COMMANDS: [&str; 8] =
    ["CAPABILITY", "LOGIN", "LIST", "CREATE", "SELECT", "RFC822.SIZE", "BODY.PEEK[]", "UID MOVE"];

/// What the server says, and what is to be done about it. It closes the connection in its own time: whoever goes on
/// asking would be heard.
fn exhaustions() -> Vec<(Reaction, Remedy)> {
    let throttled = "Request is throttled. Suggested Backoff Time: 299961 milliseconds";
    let pause = Remedy::BackOff(Duration::from_millis(299_961));
    vec![
        (Reaction::no(throttled), pause),
        (Reaction::bad(throttled), pause),
        (Reaction::throttle(299_961), pause),
        (Reaction::Close("Session invalidated - AccessTokenExpired"), Remedy::Refresh),
        (Reaction::bad("User is authenticated but not connected."), Remedy::Configuration),
        (Reaction::bad("Command received in Invalid state."), Remedy::Retry),
    ]
}

/// Why the next cycle ends, which it must do at the first command with `part` in its line.
async fn exhausted(outlook: &Outlook, part: &str) -> Remedy {
    let before = outlook.exchange.commands().len();
    let error = outlook.mailbox_error().await;
    let commands = outlook.exchange.commands().split_off(before);
    let (last, earlier) = commands.split_last().unwrap();
    assert!(last.line().contains(part), "{part}: went on to {}", last.line());
    assert!(earlier.iter().all(|command| !command.line().contains(part)), "{part}: asked again");
    error.remedy()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_has_had_enough_is_left_alone_at_once_and_no_message_is_blamed() {
    let mut outlook = Outlook::new().await;
    for command in COMMANDS {
        for (reaction, remedy) in exhaustions() {
            outlook.deliver(8);
            if command == "CREATE" {
                outlook.exchange.change(|mailbox| mailbox.delete("Processed"));
            }
            let processed = outlook.exchange.count("Processed");
            outlook.exchange.always(command, reaction.clone());

            // More often than a message may break the connection before it is held.
            for _ in 0..4 {
                let found = exhausted(&outlook, command).await;
                // Of a login that is refused, no more is believed than that.
                let is_login = command == "LOGIN" && found == Remedy::Configuration;
                assert!(found == remedy || is_login, "{command} {reaction:?}: {found:?}");
            }

            outlook.assert_only_waits(8).await;
            outlook.exchange.behave();
            assert_eq!(outlook.empty().await.len(), 0, "{command} {reaction:?}");
            outlook.assert_promise().await;
            assert_eq!(outlook.exchange.count("INBOX"), 0, "{command} {reaction:?}");
            assert_eq!(outlook.exchange.count("Processed"), processed + 8, "{command} {reaction:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exhaustion_in_the_middle_of_a_backlog_loses_and_repeats_nothing() {
    let sections = "[intake]\nbatch_messages = 5\nsettle_messages = 5";
    let mut outlook =
        Outlook::with(devstack::exchange::Habits::default(), crate::support::MOVE, sections).await;
    outlook.deliver(60);
    for (nth, (reaction, remedy)) in (1..).zip(exhaustions()) {
        for part in ["BODY.PEEK[]", "UID MOVE"] {
            outlook.exchange.nth(nth % 3 + 1, part, reaction.clone());

            let error = outlook.mailbox_error().await;

            assert_eq!(error.remedy(), remedy, "{part} {reaction:?}");
            assert_eq!(outlook.held().await.len(), 0);
            outlook.exchange.behave();
            outlook.deliver(8);
        }
    }

    assert_eq!(outlook.empty().await.len(), 0);

    outlook.assert_emptied().await;
    assert_eq!(outlook.intake.tally.duplicates.get(), 0);
    assert_eq!(outlook.exchange.count("Processed"), 60 + 8 * 2 * exhaustions().len());
}
