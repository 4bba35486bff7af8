//! Leases kept by one statement for all mailboxes of a process.

use std::sync::Arc;

use futures_util::FutureExt;
use postroom::store::{Keeper, Lease, Store};

use crate::support::{MOVE, Site};

const LEFT: &str = "SELECT count(*) FROM mailboxes WHERE lease_until > now() + interval '30 s'";

/// A keeper, and the leases of so many mailboxes, all about to end.
async fn leased(site: &Site, count: u32) -> (Store, Keeper, Vec<Lease>) {
    let store = Store::connect(&site.config(MOVE, "").database).await.unwrap();
    store.migrate().await.unwrap();
    let holder: Arc<str> = "worker".into();
    let mut leases = Vec::new();
    for number in 0..count {
        let name = format!("box-{number}");
        let row =
            format!("INSERT INTO mailboxes (name, host, account, folder) VALUES ('{name}', 'h', 'a', 'f')");
        site.database.rows(&row).await.unwrap();
        leases.push(store.acquire_lease(&name, &holder).await.unwrap().unwrap());
    }
    site.database.rows("UPDATE mailboxes SET lease_until = now() + interval '1 s'").await.unwrap();
    (store.clone(), Keeper::new(store, holder), leases)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_lost_ends_its_own_work_and_no_other() {
    let site = Site::new().await;
    let (_store, keeper, leases) = leased(&site, 3).await;
    let mut kept: Vec<_> = leases.iter().map(|lease| Box::pin(keeper.keep(lease))).collect();
    for keep in &mut kept {
        assert!(keep.as_mut().now_or_never().is_none());
    }
    site.database
        .rows("UPDATE mailboxes SET lease_epoch = lease_epoch + 1 WHERE name = 'box-1'")
        .await
        .unwrap();

    keeper.renew().await.unwrap();

    let ended: Vec<bool> = kept.iter_mut().map(|keep| keep.as_mut().now_or_never().is_some()).collect();
    assert_eq!(ended, [false, true, false]);
    assert_eq!(
        site.number(LEFT).await,
        3,
        "it is the holder's as far as the row says, and refused by its epoch"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_nobody_works_under_is_not_renewed() {
    let site = Site::new().await;
    let (_store, keeper, leases) = leased(&site, 2).await;
    let mut first = Box::pin(keeper.keep(&leases[0]));
    assert!(first.as_mut().now_or_never().is_none());
    {
        let mut second = Box::pin(keeper.keep(&leases[1]));
        assert!(second.as_mut().now_or_never().is_none());
    }

    keeper.renew().await.unwrap();

    assert_eq!(site.number(LEFT).await, 1);
}
