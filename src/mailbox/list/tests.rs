//! Listing against servers with gaps, lies and no UIDNEXT.

use crate::mailbox::script;
use crate::mailbox::session::Session;
use crate::message::{Listed, Uid};

use super::*;

/// A folder of `exists` messages, opened by a server that gives `uidnext` (or no UIDNEXT).
async fn folder(exists: u32, uidnext: Option<u32>, transcript: &str) -> (Session, script::Server) {
    let uidnext = uidnext.map(|next| format!("S: * OK [UIDNEXT {next}] next")).unwrap_or_default();
    script::session(&format!(
        r#"
        C: P2 SELECT "INBOX"
        S: * {exists} EXISTS
        S: * OK [UIDVALIDITY 14] valid
        {uidnext}
        S: P2 OK done
        {transcript}
        "#
    ))
    .await
}

/// What a server says of messages with these UIDs.
fn lines(uids: impl Iterator<Item = u32>) -> String {
    uids.map(|uid| format!("S: * {uid} FETCH (UID {uid} RFC822.SIZE 1)")).collect::<Vec<_>>().join("\n")
}

fn uids(listing: &Listing) -> Vec<u32> {
    listing.messages.iter().map(|listed| listed.uid.0).collect()
}

#[tokio::test]
async fn messages_come_with_size_and_date_in_ascending_order() {
    let (mut session, server) = folder(
        3,
        Some(13),
        r#"
        C: P3 UID FETCH 1:* (UID RFC822.SIZE INTERNALDATE)
        S: * 3 FETCH (INTERNALDATE "23-Nov-2026 08:00:00 +0100" RFC822.SIZE 300 UID 12)
        S: * 1 FETCH (UID 4 RFC822.SIZE 100 INTERNALDATE " 1-Jul-1996 02:44:25 -0700")
        S: * 2 FETCH (UID 7 RFC822.SIZE 99999999999 INTERNALDATE "yesterday")
        S: P3 OK done
        "#,
    )
    .await;

    let listing = session.select("INBOX").await.unwrap().list(Uid(0)).await.unwrap();

    let date = |text| Some(DateTime::parse_from_rfc3339(text).unwrap());
    assert_eq!(
        listing,
        Listing {
            messages: vec![
                Listed { uid: Uid(4), size: 100, internal_date: date("1996-07-01T02:44:25-07:00") },
                Listed { uid: Uid(7), size: HUGE, internal_date: None },
                Listed { uid: Uid(12), size: 300, internal_date: date("2026-11-23T08:00:00+01:00") },
            ],
            looked_at: Uid(12),
            complete: true,
        }
    );
    server.finished().await;
}

#[tokio::test]
async fn a_huge_gap_costs_few_commands() {
    let (mut session, server) = folder(
        2,
        Some(4_000_000_000),
        "
        C: P3 UID FETCH 1:1000 (UID RFC822.SIZE INTERNALDATE)
        S: * 1 FETCH (UID 9 RFC822.SIZE 1)
        S: P3 OK done
        C: P4 UID FETCH 1001:5000 (UID RFC822.SIZE INTERNALDATE)
        S: P4 OK done
        C: P5 UID FETCH 5001:21000 (UID RFC822.SIZE INTERNALDATE)
        S: P5 OK done
        C: P6 UID FETCH 21001:85000 (UID RFC822.SIZE INTERNALDATE)
        S: P6 OK done
        C: P7 UID FETCH 85001:341000 (UID RFC822.SIZE INTERNALDATE)
        S: P7 OK done
        C: P8 UID FETCH 341001:1365000 (UID RFC822.SIZE INTERNALDATE)
        S: P8 OK done
        C: P9 UID FETCH 1365001:5461000 (UID RFC822.SIZE INTERNALDATE)
        S: P9 OK done
        C: P10 UID FETCH 5461001:21845000 (UID RFC822.SIZE INTERNALDATE)
        S: P10 OK done
        C: P11 UID FETCH 21845001:87381000 (UID RFC822.SIZE INTERNALDATE)
        S: P11 OK done
        C: P12 UID FETCH 87381001:349525000 (UID RFC822.SIZE INTERNALDATE)
        S: P12 OK done
        C: P13 UID FETCH 349525001:1398101000 (UID RFC822.SIZE INTERNALDATE)
        S: P13 OK done
        C: P14 UID FETCH 1398101001:* (UID RFC822.SIZE INTERNALDATE)
        S: * 2 FETCH (UID 3999999999 RFC822.SIZE 1)
        S: P14 OK done
        ",
    )
    .await;

    let listing = session.select("INBOX").await.unwrap().list(Uid(0)).await.unwrap();

    assert_eq!(
        (uids(&listing), listing.looked_at, listing.complete),
        (vec![9, 3_999_999_999], Uid(3_999_999_999), true)
    );
    server.finished().await;
}

#[tokio::test]
async fn a_full_window_ends_the_listing() {
    let lines = lines(1..=1_000);
    let (mut session, server) = folder(
        3_000,
        Some(3_001),
        &format!(
            "
            C: P3 UID FETCH 1:1000 (UID RFC822.SIZE INTERNALDATE)
            {lines}
            S: P3 OK done
            C: P4 UID FETCH 1001:2000 (UID RFC822.SIZE INTERNALDATE)
            S: P4 OK done
            C: P5 UID FETCH 2001:* (UID RFC822.SIZE INTERNALDATE)
            S: P5 OK done
            "
        ),
    )
    .await;
    let mut folder = session.select("INBOX").await.unwrap();

    let listing = folder.list(Uid(0)).await.unwrap();
    assert_eq!((listing.messages.len(), listing.looked_at, listing.complete), (1_000, Uid(1_000), false));

    let listing = folder.list(listing.looked_at).await.unwrap();
    // Where nothing was seen nothing is claimed: a message could still get one of these UIDs.
    assert_eq!((listing.messages.len(), listing.looked_at, listing.complete), (0, Uid(2_000), true));
    server.finished().await;
}

#[tokio::test]
async fn without_uidnext_the_listing_is_still_bounded() {
    let lines = lines((1..=2_500).rev());
    let (mut session, server) = folder(
        2_500,
        None,
        &format!(
            "
            C: P3 UID FETCH 1:* (UID RFC822.SIZE INTERNALDATE)
            {lines}
            S: P3 OK done
            "
        ),
    )
    .await;

    let listing = session.select("INBOX").await.unwrap().list(Uid(0)).await.unwrap();

    assert_eq!(uids(&listing), (1..=1_000).collect::<Vec<_>>());
    assert_eq!((listing.looked_at, listing.complete), (Uid(1_000), false));
    server.finished().await;
}

#[tokio::test]
async fn the_last_message_that_comes_for_a_star_is_not_listed_again() {
    let (mut session, server) = folder(
        1,
        Some(43),
        "
        C: P3 UID FETCH 43:* (UID RFC822.SIZE INTERNALDATE)
        S: * 1 FETCH (UID 42 RFC822.SIZE 1)
        S: P3 OK done
        ",
    )
    .await;

    let listing = session.select("INBOX").await.unwrap().list(Uid(42)).await.unwrap();

    assert_eq!(listing, Listing { messages: vec![], looked_at: Uid(42), complete: true });
    server.finished().await;
}

#[tokio::test]
async fn a_message_above_a_uidnext_that_is_too_low_is_listed() {
    let (mut session, server) = folder(
        2,
        Some(2),
        "
        C: P3 UID FETCH 1:* (UID RFC822.SIZE INTERNALDATE)
        S: * 1 FETCH (UID 1 RFC822.SIZE 1)
        S: * 2 FETCH (UID 77 RFC822.SIZE 1)
        S: P3 OK done
        ",
    )
    .await;

    let listing = session.select("INBOX").await.unwrap().list(Uid(0)).await.unwrap();

    assert_eq!((uids(&listing), listing.looked_at), (vec![1, 77], Uid(77)));
    server.finished().await;
}

#[tokio::test]
async fn an_empty_folder_is_not_asked() {
    let (mut session, server) = folder(0, Some(43), "").await;

    let listing = session.select("INBOX").await.unwrap().list(Uid(42)).await.unwrap();

    assert_eq!(listing, Listing { messages: vec![], looked_at: Uid(42), complete: true });
    server.finished().await;
}

#[tokio::test]
async fn the_highest_uid_of_all_has_nothing_above_it() {
    let (mut session, server) = folder(1, None, "").await;

    let listing = session.select("INBOX").await.unwrap().list(Uid(u32::MAX)).await.unwrap();

    assert!(listing.complete);
    server.finished().await;
}

#[tokio::test]
async fn news_about_flags_does_not_hide_size_and_date() {
    let (mut session, server) = folder(
        1,
        None,
        r"
        C: P3 UID FETCH 1:* (UID RFC822.SIZE INTERNALDATE)
        S: * 1 FETCH (UID 5 FLAGS (\Seen))
        S: * 1 FETCH (UID 5 RFC822.SIZE 100)
        S: * 1 FETCH (UID 5 FLAGS ())
        S: P3 OK done
        ",
    )
    .await;

    let listing = session.select("INBOX").await.unwrap().list(Uid(0)).await.unwrap();

    assert_eq!(listing.messages, [Listed { uid: Uid(5), size: 100, internal_date: None }]);
    server.finished().await;
}

#[tokio::test]
async fn messages_whose_lines_cannot_be_read_are_listed_without_what_is_odd() {
    let (mut session, server) = folder(
        3,
        None,
        r#"
        C: P3 UID FETCH 1:* (UID RFC822.SIZE INTERNALDATE)
        S: * 1 FETCH (UID 4 RFC822.SIZE 100 INTERNALDATE "23-Nov-2026 08:00:00 +0100")
        S: * 2 FETCH (UID 5 RFC822.SIZE 200 INTERNALDATE NIL)
        S: * 3 FETCH (UID 6 RFC822.SIZE
        S: P3 OK done
        C: P4 UID FETCH 1:* (UID)
        S: * 1 FETCH (UID 4)
        S: * 2 FETCH (UID 5)
        S: * 3 FETCH (UID 6)
        S: P4 OK done
        C: P5 UID FETCH 5:6 (UID RFC822.SIZE)
        S: * 2 FETCH (UID 5 RFC822.SIZE 200)
        S: * 3 FETCH (UID 6 RFC822.SIZE
        S: P5 OK done
        "#,
    )
    .await;

    let listing = session.select("INBOX").await.unwrap().list(Uid(0)).await.unwrap();

    let found: Vec<_> = listing
        .messages
        .iter()
        .map(|listed| (listed.uid.0, listed.size, listed.internal_date.is_some()))
        .collect();
    assert_eq!(found, [(4, 100, true), (5, 200, false), (6, 0, false)]);
    assert_eq!((listing.looked_at, listing.complete), (Uid(6), true));
    server.finished().await;
}

#[tokio::test]
async fn messages_that_the_server_leaves_out_are_asked_for_again() {
    let (mut session, server) = folder(
        3,
        None,
        "
        C: P3 UID FETCH 1:* (UID RFC822.SIZE INTERNALDATE)
        S: * 1 FETCH (UID 4 RFC822.SIZE 100)
        S: * 2 FETCH (RFC822.SIZE 100)
        S: P3 OK done
        C: P4 UID FETCH 1:* (UID)
        S: * 1 FETCH (UID 4)
        S: * 2 FETCH (UID 5)
        S: * 3 FETCH (UID 6)
        S: P4 OK done
        C: P5 UID FETCH 5:6 (UID RFC822.SIZE)
        S: * 2 FETCH (UID 5 RFC822.SIZE 200)
        S: P5 OK done
        ",
    )
    .await;

    let listing = session.select("INBOX").await.unwrap().list(Uid(0)).await.unwrap();

    let found: Vec<_> = listing.messages.iter().map(|listed| (listed.uid.0, listed.size)).collect();
    assert_eq!(found, [(4, 100), (5, 200), (6, 0)]);
    server.finished().await;
}

#[tokio::test]
async fn a_listing_stays_bounded_where_lines_cannot_be_read() {
    let bad = (1..=1_200).map(|uid| format!("S: * {uid} FETCH (UID {uid} RFC822.SIZE"));
    let bad = bad.collect::<Vec<_>>().join("\n");
    let named = (1..=1_200).map(|uid| format!("S: * {uid} FETCH (UID {uid})"));
    let named = named.collect::<Vec<_>>().join("\n");
    let (mut session, server) = folder(
        1_200,
        None,
        &format!(
            "
            C: P3 UID FETCH 1:* (UID RFC822.SIZE INTERNALDATE)
            {bad}
            S: P3 OK done
            C: P4 UID FETCH 1:* (UID)
            {named}
            S: P4 OK done
            C: P5 UID FETCH 1:1200 (UID RFC822.SIZE)
            {bad}
            S: P5 OK done
            "
        ),
    )
    .await;

    let listing = session.select("INBOX").await.unwrap().list(Uid(0)).await.unwrap();

    assert_eq!(uids(&listing), (1..=1_000).collect::<Vec<_>>());
    assert_eq!((listing.looked_at, listing.complete), (Uid(1_000), false));
    server.finished().await;
}

#[tokio::test]
async fn only_those_asked_for_are_present() {
    let (mut session, server) = folder(
        3,
        None,
        "
        C: P3 UID FETCH 5,7:8 (UID)
        S: * 1 FETCH (UID 5)
        S: * 2 FETCH (UID 6)
        S: * 3 FETCH (UID 8)
        S: P3 OK done
        ",
    )
    .await;

    let asked = [5, 7, 8].into_iter().map(Uid).collect();
    let present = session.select("INBOX").await.unwrap().present(&asked).await.unwrap();

    assert_eq!(present.to_string(), "5,8");
    server.finished().await;
}

#[test]
fn a_year_that_nobody_lives_in_is_no_date() {
    assert!(internal_date("17-Jul-1996 02:44:25 -0700").is_some());
    assert!(internal_date(" 7-Jul-0001 02:44:25 +0000").is_some());
    for date in
        ["17-Jul--5000 02:44:25 +0000", "17-Jul-+99999 02:44:25 +0000", "17-Jul-0000 02:44:25 +0000", "NIL"]
    {
        assert!(internal_date(date).is_none(), "{date}");
    }
}
