//! Settling: exactly these commands, and nothing taken for done that is not.

use crate::mailbox::script;

use super::*;

fn uids(uids: &[u32]) -> UidSet {
    uids.iter().copied().map(Uid).collect()
}

fn move_to_done() -> Plan {
    Plan::Move { to: "Done".to_owned() }
}

fn copy_to_done(removal: Removal) -> Plan {
    Plan::Copy { to: "Done".to_owned(), removal }
}

/// Settles UIDs 5, 6 and 9 and gives those that are left.
async fn settle(plan: Plan, transcript: &str) -> String {
    let (mut session, server) = script::inbox(3, transcript).await;

    let left = session.select("INBOX").await.unwrap().settle(&plan, &uids(&[5, 6, 9])).await.unwrap();

    server.finished().await;
    left.to_string()
}

#[tokio::test]
async fn a_move_that_names_all_needs_no_look() {
    for transcript in [
        r#"
        C: P3 UID MOVE 5:6,9 "Done"
        S: * OK [COPYUID 20 5:6,9 101:103] moved
        S: * 1 EXPUNGE
        S: * 1 EXPUNGE
        S: * 1 EXPUNGE
        S: P3 OK done
        "#,
        r#"
        C: P3 UID MOVE 5:6,9 "Done"
        S: * 1 EXPUNGE
        S: P3 OK [COPYUID 20 9,5:6 1:3] done
        "#,
        r#"
        C: P3 UID MOVE 5:6,9 "Done"
        S: * OK [COPYUID 20 1:4294967295 1:4294967295] all of them
        S: P3 OK done
        "#,
        r#"
        C: P3 UID MOVE 5:6,9 "Done"
        S: * OK [COPYUID 20 5 101] one
        S: * OK [COPYUID 20 9:6 102:103] more
        S: P3 OK done
        "#,
    ] {
        assert_eq!(settle(move_to_done(), transcript).await, "");
    }
}

#[tokio::test]
async fn what_a_move_does_not_name_is_looked_up() {
    let left = settle(
        move_to_done(),
        r#"
        C: P3 UID MOVE 5:6,9 "Done"
        S: * OK [COPYUID 20 6 101] moved
        S: P3 OK done
        C: P4 UID FETCH 5,9 (UID)
        S: * 1 FETCH (UID 9)
        S: P4 OK done
        "#,
    )
    .await;

    assert_eq!(left, "9");
}

#[tokio::test]
async fn a_move_that_names_nothing_is_looked_up() {
    let left = settle(
        move_to_done(),
        r#"
        C: P3 UID MOVE 5:6,9 "Done"
        S: P3 OK done
        C: P4 LIST "" "Done"
        S: * LIST () "/" Done
        S: P4 OK done
        C: P5 UID FETCH 5:6,9 (UID)
        S: * 1 FETCH (UID 5)
        S: * 2 FETCH (UID 6)
        S: * 3 FETCH (UID 9)
        S: P5 OK done
        "#,
    )
    .await;

    assert_eq!(left, "5:6,9");
}

#[tokio::test]
async fn a_move_that_fails_is_not_followed_by_a_deletion() {
    let (mut session, server) = script::inbox(
        3,
        r#"
        C: P3 UID MOVE 5 "Done"
        S: P3 NO Server Unavailable. 15
        C: P4 LIST "" "Done"
        S: * LIST () "/" Done
        S: P4 OK done
        "#,
    )
    .await;

    let error =
        session.select("INBOX").await.unwrap().settle(&move_to_done(), &uids(&[5])).await.unwrap_err();

    assert!(matches!(error, Error::Refused { during: "UID MOVE", .. }), "{error}");
    drop(session);
    server.finished().await;
}

#[tokio::test]
async fn a_target_that_was_deleted_is_made_again() {
    // Whether the server says so or not.
    for answer in ["NO [TRYCREATE] no such folder", "OK done"] {
        let left = settle(
            copy_to_done(Removal::Expunge),
            &format!(
                r#"
                C: P3 UID COPY 5:6,9 "Done"
                S: P3 {answer}
                C: P4 LIST "" "Done"
                S: P4 OK done
                C: P5 CREATE "Done"
                S: P5 OK done
                C: P6 UID COPY 5:6,9 "Done"
                S: P6 OK [COPYUID 20 5:6,9 1:3] done
                C: P7 UID STORE 5:6,9 +FLAGS.SILENT (\Deleted)
                S: P7 OK done
                C: P8 UID EXPUNGE 5:6,9
                S: P8 OK done
                C: P9 UID FETCH 5:6,9 (UID)
                S: P9 OK done
                "#
            ),
        )
        .await;
        assert_eq!(left, "");

        let left = settle(
            move_to_done(),
            &format!(
                r#"
                C: P3 UID MOVE 5:6,9 "Done"
                S: P3 {answer}
                C: P4 LIST "" "Done"
                S: P4 OK done
                C: P5 CREATE "Done"
                S: P5 OK done
                C: P6 UID MOVE 5:6,9 "Done"
                S: P6 OK [COPYUID 20 5:6,9 1:3] done
                "#
            ),
        )
        .await;
        assert_eq!(left, "");
    }
}

#[tokio::test]
async fn without_move_only_what_was_copied_is_removed() {
    let left = settle(
        copy_to_done(Removal::Expunge),
        r#"
        C: P3 UID COPY 5:6,9 "Done"
        S: P3 OK [COPYUID 20 5,9 101:102] done
        C: P4 UID STORE 5,9 +FLAGS.SILENT (\Deleted)
        S: P4 OK done
        C: P5 UID EXPUNGE 5,9
        S: * 1 EXPUNGE
        S: P5 OK done
        C: P6 UID FETCH 5,9 (UID)
        S: * 1 FETCH (UID 9)
        S: P6 OK done
        C: P7 UID FETCH 6 (UID)
        S: * 2 FETCH (UID 6)
        S: P7 OK done
        "#,
    )
    .await;

    assert_eq!(left, "6,9");
}

#[tokio::test]
async fn a_copy_that_names_nothing_stands_by_its_ok() {
    let left = settle(
        copy_to_done(Removal::Expunge),
        r#"
        C: P3 UID COPY 5:6,9 "Done"
        S: P3 OK done
        C: P4 LIST "" "Done"
        S: * LIST () "/" Done
        S: P4 OK done
        C: P5 UID STORE 5:6,9 +FLAGS.SILENT (\Deleted)
        S: P5 OK done
        C: P6 UID EXPUNGE 5:6,9
        S: P6 OK done
        C: P7 UID FETCH 5:6,9 (UID)
        S: P7 OK done
        "#,
    )
    .await;

    assert_eq!(left, "");
}

#[tokio::test]
async fn without_uidplus_messages_are_flagged_and_never_expunged() {
    let left = settle(
        copy_to_done(Removal::Flag),
        r#"
        C: P3 UID COPY 5:6,9 "Done"
        S: P3 OK done
        C: P4 LIST "" "Done"
        S: * LIST () "/" Done
        S: P4 OK done
        C: P5 UID STORE 5:6,9 +FLAGS.SILENT (\Deleted)
        S: P5 OK done
        C: P6 UID FETCH 5:6,9 (UID FLAGS)
        S: * 1 FETCH (UID 5 FLAGS (\Seen \deleted))
        S: * 2 FETCH (UID 6 FLAGS (\Seen))
        S: * 4 FETCH (UID 10 FLAGS ())
        S: P6 OK done
        "#,
    )
    .await;

    assert_eq!(left, "6");
}

#[tokio::test]
async fn expunging_names_exactly_the_uids() {
    let left = settle(
        Plan::Delete { removal: Removal::Expunge },
        r"
        C: P3 UID STORE 5:6,9 +FLAGS.SILENT (\Deleted)
        S: P3 OK done
        C: P4 UID EXPUNGE 5:6,9
        S: P4 OK done
        C: P5 UID FETCH 5:6,9 (UID)
        S: P5 OK done
        ",
    )
    .await;

    assert_eq!(left, "");
}

#[tokio::test]
async fn keeping_sends_nothing() {
    assert_eq!(settle(Plan::Keep, "").await, "");
}

#[tokio::test]
async fn nothing_is_copied_from_a_folder_in_which_nothing_can_be_deleted() {
    for opened in [
        "S: P2 OK [READ-ONLY] done",
        r"S: * OK [PERMANENTFLAGS (\Seen)] limited
          S: P2 OK done",
    ] {
        let (mut session, server) = script::session(&format!(
            r#"
            C: P2 SELECT "INBOX"
            S: * 3 EXISTS
            S: * OK [UIDVALIDITY 14] valid
            {opened}
            "#
        ))
        .await;
        let mut folder = session.select("INBOX").await.unwrap();

        for plan in [copy_to_done(Removal::Expunge), Plan::Delete { removal: Removal::Flag }] {
            let error = folder.settle(&plan, &uids(&[5])).await.unwrap_err();
            assert!(matches!(error, Error::ReadOnly { .. }), "{error}");
        }
        server.finished().await;
    }
}

#[tokio::test]
async fn a_large_set_is_cut_into_commands_that_servers_take() {
    // 400 scattered UIDs of four characters each: two commands.
    let many: UidSet = (0..400).map(|i| Uid(1_001 + 2 * i)).collect();
    let parts = many.split();
    assert_eq!(parts.len(), 2);
    let commands: Vec<String> = parts
        .iter()
        .zip(3..)
        .map(|(part, n)| {
            format!(
                "C: P{n} UID MOVE {part} \"Done\"
                 S: * OK [COPYUID 20 {part} {part}] moved
                 S: P{n} OK done"
            )
        })
        .collect();
    let (mut session, server) = script::inbox(400, &commands.join("\n")).await;

    let left = session.select("INBOX").await.unwrap().settle(&move_to_done(), &many).await.unwrap();

    assert!(left.is_empty());
    server.finished().await;
}

#[tokio::test]
async fn the_target_folder_is_named_as_imap_names_it() {
    let (mut session, server) = script::inbox(
        1,
        r#"
        C: P3 UID MOVE 5 "Erledigt \"&ANw-\"/R&-D\\x"
        S: P3 OK [COPYUID 20 5 1] done
        "#,
    )
    .await;
    let plan = Plan::Move { to: r#"Erledigt "Ü"/R&D\x"#.to_owned() };

    session.select("INBOX").await.unwrap().settle(&plan, &uids(&[5])).await.unwrap();

    server.finished().await;
}
