//! Fetching from servers that answer more, less, or something else.

use crate::mailbox::script;

use super::*;

fn listed(uid: u32) -> Listed {
    Listed { uid: Uid(uid), size: 100, internal_date: None }
}

/// Fetches UIDs 5, 6 and 7 and gives what came.
async fn fetch(extent: Extent, transcript: &str) -> Vec<(u32, Vec<u8>)> {
    let (mut session, server) = script::inbox(3, transcript).await;
    let mut folder = session.select("INBOX").await.unwrap();

    let messages = folder.fetch(&[listed(7), listed(5), listed(6)], extent).await.unwrap();

    server.finished().await;
    assert!(messages.iter().all(|message| message.extent == extent && message.listed.size == 100));
    messages.into_iter().map(|message| (message.listed.uid.0, message.source)).collect()
}

#[tokio::test]
async fn items_may_come_in_any_order() {
    let messages = fetch(
        Extent::Whole,
        "
        C: P3 UID FETCH 5:7 (UID BODY.PEEK[])
        S: * 3 FETCH (BODY[] {5}
        S: seven UID 7)
        S: * 1 FETCH (UID 5 FLAGS () BODY[] {4}
        S: five)
        S: * 2 FETCH (UID 6 BODY[] {3}
        S: six)
        S: P3 OK done
        ",
    )
    .await;

    assert_eq!(messages, [(5, b"five".to_vec()), (6, b"six".to_vec()), (7, b"seven".to_vec())]);
}

#[tokio::test]
async fn only_what_was_asked_for_is_taken_and_only_once() {
    let messages = fetch(
        Extent::Whole,
        "
        C: P3 UID FETCH 5:7 (UID BODY.PEEK[])
        S: * 9 FETCH (UID 99 BODY[] {5}
        S: wrong)
        S: * 9 FETCH (BODY[] {5}
        S: whose)
        S: * 1 FETCH (UID 5 BODY[] {4}
        S: five)
        S: * 1 FETCH (UID 5 BODY[] {5}
        S: again)
        S: * 2 FETCH (UID 6 BODY[HEADER] {4}
        S: head)
        S: * 2 FETCH (UID 6 BODY[]<0> {4}
        S: part)
        S: P3 OK done
        ",
    )
    .await;

    assert_eq!(messages, [(5, b"five".to_vec())]);
}

#[tokio::test]
async fn a_message_without_bytes_is_not_there_and_an_empty_one_is() {
    let messages = fetch(
        Extent::Whole,
        r#"
        C: P3 UID FETCH 5:7 (UID BODY.PEEK[])
        S: * 1 FETCH (UID 5 BODY[] NIL)
        S: * 2 FETCH (UID 6 BODY[] {0}
        S: )
        S: * 3 FETCH (UID 7 BODY[] "")
        S: P3 OK done
        "#,
    )
    .await;

    assert_eq!(messages, [(6, vec![]), (7, vec![])]);
}

#[tokio::test]
async fn a_server_may_answer_ok_and_nothing_else() {
    let messages = fetch(
        Extent::Whole,
        "
        C: P3 UID FETCH 5:7 (UID BODY.PEEK[])
        S: P3 OK FETCH completed.
        ",
    )
    .await;

    assert_eq!(messages, []);
}

#[tokio::test]
async fn the_header_alone_can_be_fetched() {
    let messages = fetch(
        Extent::Header,
        "
        C: P3 UID FETCH 5:7 (UID BODY.PEEK[HEADER])
        S: * 1 FETCH (UID 5 BODY[HEADER] {4}
        S: head)
        S: * 2 FETCH (UID 6 BODY[] {5}
        S: whole)
        S: P3 OK done
        ",
    )
    .await;

    assert_eq!(messages, [(5, b"head".to_vec())]);
}

#[tokio::test]
async fn the_bytes_are_exactly_those_sent_wherever_they_lie_in_the_buffer() {
    // Several responses in one read, and one larger than any buffer along the way.
    let large = "x".repeat(100_000);
    let messages = fetch(
        Extent::Whole,
        &format!(
            "
            C: P3 UID FETCH 5:7 (UID BODY.PEEK[])
            S: * 1 FETCH (UID 5 BODY[] {{1}}
            S: a)
            S: * 2 FETCH (UID 6 BODY[] {{100000}}
            S: {large} FLAGS ())
            S: * 3 FETCH (FLAGS () UID 7 BODY[] {{3}}
            S: b)c)
            S: P3 OK done
            "
        ),
    )
    .await;

    assert_eq!(messages, [(5, b"a".to_vec()), (6, large.into_bytes()), (7, b"b)c".to_vec())]);
}

#[tokio::test]
async fn nothing_is_sent_for_no_messages() {
    let (mut session, server) = script::inbox(1, "").await;

    let messages = session.select("INBOX").await.unwrap().fetch(&[], Extent::Whole).await.unwrap();

    assert_eq!(messages, []);
    server.finished().await;
}
