//! Waiting with a limit.

use std::time::Duration;

use anyhow::{Result, bail};
use devstack::poll;

#[tokio::test]
async fn waiting_ends_with_the_value_of_the_first_check_that_succeeds() -> Result<()> {
    let mut checks = 0;

    let value = poll::until("three", Duration::from_secs(20), async || {
        checks += 1;
        anyhow::ensure!(checks == 3, "{checks}");
        Ok(checks)
    });

    assert_eq!(value.await?, 3);
    Ok(())
}

#[tokio::test]
async fn a_timeout_says_what_was_awaited_and_what_was_last_seen() -> Result<()> {
    let mut checks = 0;
    let waiting = poll::until("a blue moon", Duration::from_millis(50), async || -> Result<()> {
        checks += 1;
        bail!("the moon was white {checks} times")
    });

    let Err(error) = waiting.await else { bail!("it came") };

    let message = format!("{error:#}");
    assert!(message.contains("a blue moon"), "{message}");
    assert!(message.contains(&format!("white {checks} times")), "{message}");
    Ok(())
}

#[tokio::test]
async fn a_check_that_hangs_is_cut_off_by_the_limit() {
    let waiting = poll::until("nothing", Duration::from_millis(50), async || {
        std::future::pending::<()>().await;
        Ok(())
    });

    assert!(waiting.await.is_err());
}
