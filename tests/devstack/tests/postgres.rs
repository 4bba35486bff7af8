//! The private PostgreSQL cluster.

use std::time::Duration;

use anyhow::{Context, Result};
use devstack::{Durability, Postgres, poll};
use sqlx::Connection;

const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn each_test_gets_an_empty_database_of_its_own() -> Result<()> {
    let postgres = Postgres::shared().await?;

    let (one, two) = (postgres.database().await?, postgres.database().await?);
    one.rows("CREATE TABLE here (n integer); INSERT INTO here VALUES (1), (NULL)").await?;

    assert_eq!(one.rows("SELECT n, n IS NULL FROM here").await?, [["1", "f"], ["", "t"]]);
    assert_eq!(two.value("SELECT to_regclass('here') IS NULL").await?, "t");
    Ok(())
}

#[tokio::test]
async fn the_shared_cluster_is_one_cluster() -> Result<()> {
    let (one, two) = (Postgres::shared().await?, Postgres::shared().await?);

    assert!(std::ptr::eq(one, two));
    Ok(())
}

#[tokio::test]
async fn a_killed_cluster_comes_back_with_its_data() -> Result<()> {
    let mut postgres = Postgres::start(Durability::Processes).await?;
    let database = postgres.database().await?;
    database.rows("CREATE TABLE kept (n integer); INSERT INTO kept VALUES (7)").await?;

    postgres.kill9().await?;
    poll::until("connections to be refused", LIMIT, async || match database.value("SELECT 1").await {
        Ok(_) => anyhow::bail!("it answers"),
        Err(_) => Ok(()),
    })
    .await?;
    postgres.start_again().await?;

    assert_eq!(database.value("SELECT n FROM kept").await?, "7");
    Ok(())
}

#[tokio::test]
async fn a_cluster_stops_with_clients_connected_and_starts_again() -> Result<()> {
    let mut postgres = Postgres::start(Durability::Full).await?;
    let database = postgres.database().await?;
    let mut client = sqlx::PgConnection::connect(database.url()).await?;

    postgres.stop().await?;
    assert!(client.ping().await.is_err());
    postgres.start_again().await?;

    assert_eq!(database.value("SHOW fsync").await?, "on");
    Ok(())
}

#[tokio::test]
async fn a_table_on_a_full_disk_takes_nothing_until_there_is_room() -> Result<()> {
    let database = Postgres::shared().await?.database().await?;
    database.rows("CREATE TABLE full_up (n integer)").await?;

    let full = database.fill_disk("full_up").await?;
    let refused = database.rows("INSERT INTO full_up VALUES (1)").await.err().context("it has room")?;
    let code = refused.downcast_ref::<sqlx::Error>().and_then(|error| error.as_database_error()?.code());
    assert_eq!(code.as_deref(), Some("53100"), "{refused:#}");
    full.free().await?;

    database.rows("INSERT INTO full_up VALUES (2)").await?;
    assert_eq!(database.rows("SELECT n FROM full_up").await?, [["2"]]);
    Ok(())
}

#[tokio::test]
async fn psql_and_the_url_reach_the_same_database() -> Result<()> {
    let database = Postgres::shared().await?.database().await?;

    let with_options = format!("{} -XAtc 'SELECT current_database()'", database.psql());
    let with_url = format!("psql -XAtc 'SELECT current_database()' '{}'", database.url());

    for command in [with_options, with_url] {
        let output = std::process::Command::new("sh").args(["-c", &command]).output()?;
        assert_eq!(String::from_utf8(output.stdout)?.trim(), database.name(), "{command}");
    }
    Ok(())
}
