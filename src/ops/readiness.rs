//! Whether the worker does its work: the database answers, and every mailbox was polled lately.

use std::time::Duration;

use crate::store::Gauges;

/// Why the worker is not ready although the database answers, a line each; empty if it is. Before the first poll
/// of a mailbox its age counts from `uptime`, so that a start is not at once a failure.
pub(super) fn obstacles(
    gauges: &Gauges,
    mailboxes: &[String],
    uptime: Duration,
    max_poll_age: Duration,
) -> Vec<String> {
    let stale = |name: &String| {
        let since_poll = gauges.mailboxes.get(name).and_then(|mailbox| mailbox.since_poll);
        let age = since_poll.unwrap_or(uptime);
        if age <= max_poll_age {
            return None;
        }
        let limit = humantime::format_duration(max_poll_age);
        let whole = humantime::format_duration(Duration::from_secs(age.as_secs()));
        Some(match since_poll {
            Some(_) => format!(
                "mailbox \"{name}\": the last completed poll was {whole} ago; at most {limit} is allowed"
            ),
            None => format!(
                "mailbox \"{name}\": no poll has completed in the {whole} since start; at most {limit} is allowed"
            ),
        })
    };
    mailboxes.iter().filter_map(stale).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MailboxGauges;

    const LIMIT: Duration = Duration::from_mins(10);

    fn of_support(since_poll: Option<Duration>, uptime: Duration) -> Vec<String> {
        let support = MailboxGauges { since_poll, ..MailboxGauges::default() };
        let gauges = Gauges { mailboxes: [("support".to_owned(), support)].into(), ..Gauges::default() };
        obstacles(&gauges, &["support".to_owned()], uptime, LIMIT)
    }

    #[test]
    fn a_mailbox_polled_lately_is_no_obstacle() {
        assert_eq!(of_support(Some(LIMIT), Duration::MAX), [""; 0]);
    }

    #[test]
    fn an_old_poll_is_named_with_its_age() {
        assert_eq!(
            of_support(Some(Duration::from_secs(723)), Duration::ZERO),
            ["mailbox \"support\": the last completed poll was 12m 3s ago; at most 10m is allowed"]
        );
    }

    #[test]
    fn before_the_first_poll_the_age_counts_from_the_start() {
        assert_eq!(of_support(None, LIMIT), [""; 0]);
        assert_eq!(
            of_support(None, Duration::from_mins(11)),
            ["mailbox \"support\": no poll has completed in the 11m since start; at most 10m is allowed"]
        );
    }

    #[test]
    fn a_mailbox_that_the_store_does_not_know_counts_as_never_polled() {
        let uptime = Duration::from_mins(11);

        assert_eq!(obstacles(&Gauges::default(), &["support".to_owned()], uptime, LIMIT).len(), 1);
    }

    #[test]
    fn a_mailbox_no_longer_configured_is_no_obstacle() {
        let retired = MailboxGauges { since_poll: Some(Duration::MAX), ..MailboxGauges::default() };
        let gauges = Gauges { mailboxes: [("retired".to_owned(), retired)].into(), ..Gauges::default() };

        assert_eq!(obstacles(&gauges, &[], Duration::MAX, LIMIT), [""; 0]);
    }
}
