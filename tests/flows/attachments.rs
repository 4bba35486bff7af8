//! Attachments as an operator takes them out of stored mail, on real servers with the built binary.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::{MOVE, Site, mail, postroom, run};

/// A golden mail.
fn golden(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mail").join(name)).unwrap()
}

/// Runs a command whose output is no text.
fn output(mut command: Command) -> Output {
    command.output().unwrap()
}

async fn listed(config: &Path, of: &str) -> Vec<Value> {
    let (code, json, err) = run(config, &["attachments", "list", of, "--json"]).await;
    assert_eq!(code, Some(0), "{err}");
    serde_json::from_str(&json).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attachment_comes_out_as_it_was_sent() {
    let site = Site::new().await;
    // Four megabytes that don't compress, so that the source comes in several pieces.
    let large: Vec<u8> =
        (0..500_000_u64).flat_map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes()).collect();
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &large);
    let lines: Vec<&str> =
        encoded.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let with_large = format!(
        "Message-ID: <large@example.com>\nFrom: ann@example.com\nSubject: Large\nMIME-Version: 1.0\n\
         Content-Type: application/octet-stream; name=\"random.bin\"\nContent-Transfer-Encoding: base64\n\n{}\n",
        lines.join("\n")
    );
    site.account.deliver_many([with_large.into_bytes(), golden("421-winmail-dat-of-outlook.eml")]).unwrap();
    let config = site.config_file(MOVE, "");
    assert_eq!(run(&config, &["drain"]).await.0, Some(0));

    let one = &listed(&config, "1").await[0];
    let message = one["message_id"].as_str().unwrap();
    assert_eq!((one["filename"].as_str(), one["size"].as_u64()), (Some("random.bin"), Some(4_000_000)));
    let got = output(postroom(&config, &["attachments", "get", message, "0"]));
    assert!(got.status.success() && got.stdout == large, "{}", String::from_utf8_lossy(&got.stderr));

    // What was in a winmail.dat has a part of its own, to a file this time.
    let packed = listed(&config, "2").await;
    let pdf = packed.iter().find(|line| line["filename"] == "Quarterly report.pdf").unwrap();
    let (message, part) = (pdf["message_id"].as_str().unwrap(), pdf["part"].to_string());
    assert_eq!(pdf["from_tnef"], true);
    assert!(packed.iter().all(|line| line["filename"] != "winmail.dat"));
    let file = tempfile::tempdir().unwrap().keep().join("report.pdf");
    let path = file.to_str().unwrap();
    let get = ["attachment", "get", message, &part, "--output", path];
    let (code, out, err) = run(&config, &get).await;
    assert_eq!((code, out), (Some(0), format!("{} bytes written to {path}.\n", pdf["size"])), "{err}");
    assert!(std::fs::read(&file).unwrap().starts_with(b"%PDF-"));

    // A file that is there is somebody's.
    let (code, _, err) = run(&config, &get).await;
    assert_eq!(code, Some(1));
    assert!(err.contains("creating") && err.contains(path), "{err}");
    let (_, table, _) = run(&config, &["attachments", "list", message]).await;
    assert!(table.contains("Quarterly report.pdf") && table.contains("from winmail.dat"), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_said() {
    let site = Site::new().await;
    let mut large = mail("large", "");
    large.extend("A long line of nothing much.\n".repeat(200).into_bytes());
    site.account.deliver_many([mail("plain", ""), large]).unwrap();
    let config = site.config_file(MOVE, "[intake]\nmax_message_bytes = 2000\nbatch_bytes = 1000");
    run(&config, &["drain"]).await;
    let id = async |subject: &str| {
        site.database
            .value(&format!("SELECT id::text FROM messages WHERE subject = '{subject}'"))
            .await
            .unwrap()
    };
    let (plain, large) = (id("About plain").await, id("About large").await);
    let nobody = "00000000-0000-7000-8000-000000000000";

    assert_eq!(run(&config, &["attachments", "list", &plain]).await.1, "No attachments.\n");
    for (arguments, said) in [
        (["attachments", "get", plain.as_str(), "7"].as_slice(), "has no part 7"),
        (&["attachments", "get", &large, "0"], "only the header of this message is stored"),
        (&["attachments", "get", nobody, "0"], "there is no such message"),
        (&["attachments", "list", nobody], "there is no such message or ticket"),
        (&["attachments", "list", "99"], "there is no such message or ticket"),
    ] {
        let (code, _, err) = run(&config, arguments).await;
        assert_eq!(code, Some(1), "{arguments:?}");
        assert!(err.contains(said), "{arguments:?}: {err}");
    }
    assert_eq!(run(&config, &["attachments", "list", "support/1"]).await.0, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_another_by_now_is_not_given() {
    let site = Site::new().await;
    site.account.deliver(&golden("421-winmail-dat-of-outlook.eml")).unwrap();
    let config = site.config_file(MOVE, "");
    assert_eq!(run(&config, &["drain"]).await.0, Some(0));
    let line = &listed(&config, "1").await[0];
    site.database.rows("UPDATE attachments SET sha256 = sha256('x')").await.unwrap();

    let part = line["part"].to_string();
    let (code, out, err) =
        run(&config, &["attachments", "get", line["message_id"].as_str().unwrap(), &part]).await;

    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("SHA-256 differs"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn attachments_of_a_degraded_message_are_read_out_of_its_source() {
    let site = Site::new().await;
    let config = site.config_file(MOVE, "");
    assert_eq!(run(&config, &["migrate"]).await.0, Some(0));
    // PostgreSQL refuses this one attachment, and so the whole of what was read.
    let refuse = "ALTER TABLE attachments ADD CHECK (filename IS DISTINCT FROM 'Quarterly report.pdf')";
    site.database.rows(refuse).await.unwrap();
    site.account.deliver(&golden("421-winmail-dat-of-outlook.eml")).unwrap();
    assert_eq!(run(&config, &["drain"]).await.0, Some(0));
    assert_eq!(site.number("SELECT count(*) FROM messages WHERE degraded IS NOT NULL").await, 1);
    assert_eq!(site.number("SELECT count(*) FROM attachments").await, 0);

    // Each try took a number.
    let ticket = site.number("SELECT number FROM tickets").await.to_string();
    let listed = listed(&config, &ticket).await;
    let pdf = listed.iter().find(|line| line["filename"] == "Quarterly report.pdf").unwrap();
    let part = pdf["part"].to_string();
    let got = output(postroom(&config, &["attachments", "get", pdf["message_id"].as_str().unwrap(), &part]));

    assert!(got.status.success() && got.stdout.starts_with(b"%PDF-"));
}
