//! Who is let in, and to which mailbox.

use std::time::Duration;

use anyhow::Result;
use devstack::exchange::{Habits, Reaction};
use devstack::identity::{Access, Subject};
use devstack::{Exchange, Tokens};

use crate::client::{Client, base64, xoauth2};

const ANNA: &str = "anna@example.com";
const SHARED: &str = "support@example.com";
const APPLICATION: &str = "6b2d1d92-7018-4182-b70e-821127bec509";
const HOUR: Duration = Duration::from_hours(1);

/// A server that Anna's token "good" opens.
async fn exchange(habits: Habits) -> Result<(Exchange, Tokens)> {
    let tokens = Tokens::new();
    tokens.add("good", Access::imap(ANNA), HOUR);
    Ok((Exchange::with_tokens(habits, tokens.clone(), ANNA).await?, tokens))
}

async fn greeted(exchange: &Exchange) -> Result<Client> {
    let mut client = Client::connect(exchange).await?;
    client.line().await?;
    Ok(client)
}

/// Whether a user gets as far as its inbox by a token.
async fn opens(exchange: &Exchange, user: &str, token: &str) -> Result<bool> {
    let mut client = Client::sign_in(exchange, user, token).await?;
    Ok(client.ask("SELECT INBOX").await?.contains("T OK [READ-WRITE]"))
}

#[tokio::test]
async fn a_token_is_taken_with_the_command_and_after_it() -> Result<()> {
    let (exchange, _) = exchange(Habits::default()).await?;

    assert!(opens(&exchange, ANNA, "good").await?);
    let mut client = greeted(&exchange).await?;
    client.say("T AUTHENTICATE XOAUTH2").await?;
    assert_eq!(client.line().await?, "+ \r\n");
    client.say(&xoauth2(ANNA, "good")).await?;
    assert_eq!(client.line().await?, "T OK AUTHENTICATE completed.\r\n");

    let commands = exchange.commands();
    assert!(commands.iter().any(|command| command.line() == "AUTHENTICATE XOAUTH2 ***"), "{commands:?}");
    assert!(!format!("{commands:?}").contains(&xoauth2(ANNA, "good")));
    Ok(())
}

#[tokio::test]
async fn a_token_that_is_not_good_is_refused_and_so_is_a_password() -> Result<()> {
    let (exchange, tokens) = exchange(Habits::default()).await?;
    tokens.add("lapsed", Access::imap(ANNA), Duration::ZERO);
    let mail = Access { audience: "https://graph.microsoft.com".to_owned(), ..Access::imap(ANNA) };
    tokens.add("for Graph", mail, HOUR);

    let mut client = greeted(&exchange).await?;
    for token in ["guessed", "lapsed", "for Graph"] {
        let answer = client.ask(&format!("AUTHENTICATE XOAUTH2 {}", xoauth2(ANNA, token))).await?;
        assert_eq!(answer, "T NO AUTHENTICATE failed.\r\n", "{token}");
    }
    let password = base64(&format!("\0{ANNA}\0{}", exchange.password()));
    assert_eq!(client.ask(&format!("AUTHENTICATE PLAIN {password}")).await?, "T NO AUTHENTICATE failed.\r\n");
    let login = format!("LOGIN {ANNA} {}", exchange.password());
    assert_eq!(client.ask(&login).await?, "T NO LOGIN failed.\r\n");
    for malformed in ["XOAUTH2 %", "XOAUTH2 bm90aGluZw==", "CRAM-MD5", "OAUTHBEARER bm90aGluZw=="] {
        let answer = client.ask(&format!("AUTHENTICATE {malformed}")).await?;
        assert!(answer.starts_with("T BAD"), "{malformed}: {answer}");
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_takes_passwords_takes_them_by_plain_too_and_no_token() -> Result<()> {
    let exchange = Exchange::start(Habits::default().without(&["SASL-IR"])).await?;
    let mut client = greeted(&exchange).await?;
    let password = base64(&format!("\0{}\0{}", exchange.user(), exchange.password()));

    assert!(
        client.ask(&format!("AUTHENTICATE PLAIN {password}")).await?.starts_with("T BAD"),
        "not announced"
    );
    client.say("T AUTHENTICATE XOAUTH2").await?;
    client.line().await?;
    client.say(&xoauth2(exchange.user(), "any")).await?;
    assert_eq!(client.line().await?, "T NO AUTHENTICATE failed.\r\n");
    client.say("T AUTHENTICATE PLAIN").await?;
    client.line().await?;
    client.say(&password).await?;
    assert_eq!(client.line().await?, "T OK AUTHENTICATE completed.\r\n");
    Ok(())
}

#[tokio::test]
async fn a_challenge_before_a_refusal_wants_its_answer() -> Result<()> {
    let habits = Habits { challenges: true, ..Habits::default().announcing(&["AUTH=OAUTHBEARER"]) };
    let (exchange, _) = exchange(habits).await?;
    let bearer = base64(&format!("n,a={ANNA},\x01host=localhost\x01port=993\x01auth=Bearer bad\x01\x01"));
    let cases = [("XOAUTH2", xoauth2(ANNA, "bad"), ""), ("OAUTHBEARER", bearer, "AQ==")];

    for (mechanism, response, apology) in cases {
        for (answer, outcome) in
            [(apology, "T NO AUTHENTICATE failed.\r\n"), ("*", "T BAD Command Argument Error. 11\r\n")]
        {
            let mut client = greeted(&exchange).await?;
            client.say(&format!("T AUTHENTICATE {mechanism} {response}")).await?;
            let challenge = client.line().await?;
            let challenge = challenge.strip_prefix("+ ").unwrap_or_default().trim_end();
            let challenge = String::from_utf8(openssl::base64::decode_block(challenge)?)?;
            assert!(challenge.starts_with("{\"status\":"), "{challenge}");
            client.say(answer).await?;
            assert_eq!(client.line().await?, outcome);
        }
    }
    Ok(())
}

#[tokio::test]
async fn oauthbearer_is_taken_where_it_is_announced() -> Result<()> {
    let bearer = base64(&format!("n,a={ANNA},\x01auth=Bearer good\x01\x01"));
    let bearer = format!("AUTHENTICATE OAUTHBEARER {bearer}");
    let (exchange, _) = exchange(Habits::default()).await?;

    assert!(greeted(&exchange).await?.ask(&bearer).await?.starts_with("T BAD"));
    exchange.adopt(Habits::default().announcing(&["AUTH=OAUTHBEARER"]));
    assert_eq!(greeted(&exchange).await?.ask(&bearer).await?, "T OK AUTHENTICATE completed.\r\n");
    Ok(())
}

#[tokio::test]
async fn a_shared_mailbox_opens_to_its_delegate_and_to_nobody_else() -> Result<()> {
    let (exchange, tokens) = exchange(Habits::default()).await?;
    tokens.add("another", Access::imap("berta@example.com"), HOUR);

    assert!(!opens(&exchange, SHARED, "good").await?);
    exchange.permit(ANNA, SHARED);
    assert!(opens(&exchange, "Support@Example.com", "good").await?);
    assert!(!opens(&exchange, SHARED, "another").await?);
    Ok(())
}

#[tokio::test]
async fn an_application_opens_what_it_was_permitted_if_it_has_the_role() -> Result<()> {
    let (exchange, tokens) = exchange(Habits::default()).await?;
    let access = |role: &str| Access {
        subject: Subject::Application(APPLICATION.to_owned()),
        audience: "https://outlook.office365.com".to_owned(),
        permissions: vec![role.to_owned()],
    };
    tokens.add("app", access("IMAP.AccessAsApp"), HOUR);
    tokens.add("roleless", access("Mail.Read"), HOUR);

    assert!(!opens(&exchange, SHARED, "app").await?);
    exchange.permit(APPLICATION, SHARED);
    assert!(opens(&exchange, SHARED, "app").await?);
    assert!(!opens(&exchange, SHARED, "roleless").await?);
    Ok(())
}

#[tokio::test]
async fn who_is_authenticated_but_not_connected_is_turned_away_twice() -> Result<()> {
    let (exchange, _) = exchange(Habits::default()).await?;
    let mut client = Client::sign_in(&exchange, SHARED, "good").await?;

    assert!(client.ask("CAPABILITY").await?.contains(" MOVE "));
    let refusal = "T BAD User is authenticated but not connected.\r\n";
    assert_eq!(client.ask("SELECT INBOX").await?, refusal);
    assert_eq!(client.ask("NOOP").await?, refusal);
    assert_eq!(client.rest().await?, "* BYE Connection closed. 14\r\n");
    Ok(())
}

#[tokio::test]
async fn any_number_of_users_have_mailboxes_of_their_own() -> Result<()> {
    let (exchange, tokens) = exchange(Habits::default()).await?;
    let users: Vec<String> = (1..=20).map(|n| format!("user{n}@example.com")).collect();
    for user in &users {
        tokens.add(user, Access::imap(user), HOUR);
        exchange.deliver_to(user, format!("Subject: for {user}\r\n\r\n").as_bytes())?;
    }

    for user in &users {
        let mut client = Client::sign_in(&exchange, user, user).await?;
        assert!(client.ask("SELECT INBOX").await?.contains("* 1 EXISTS"));
        let fetched = client.ask("UID FETCH 1 (UID BODY.PEEK[])").await?;
        assert!(fetched.contains(&format!("Subject: for {user}\r\n")), "{fetched}");
    }
    assert_eq!(exchange.count("INBOX"), 0, "nobody has written to Anna");
    Ok(())
}

#[tokio::test]
async fn a_login_can_be_throttled_and_connections_are_recorded() -> Result<()> {
    let (exchange, _) = exchange(Habits::default()).await?;
    exchange.once("AUTHENTICATE", Reaction::throttle_badly(1_500));
    let before = std::time::Instant::now();

    let mut client = greeted(&exchange).await?;
    let answer = client.ask(&format!("AUTHENTICATE XOAUTH2 {}", xoauth2(ANNA, "good"))).await?;
    assert_eq!(answer, "T BAD Request is throttled. Suggested Backoff Time: 1500 milliseconds\r\n");
    assert_eq!(client.rest().await?, "* BYE Connection closed. 14\r\n");
    assert!(opens(&exchange, ANNA, "good").await?);

    exchange.wait_for_connections(2, HOUR).await?;
    let times = exchange.connections();
    assert!(times.len() == 2 && times.is_sorted() && times.iter().all(|time| *time >= before));
    Ok(())
}

#[tokio::test]
async fn a_token_that_expires_ends_its_session_and_no_other() -> Result<()> {
    let (exchange, tokens) = exchange(Habits::default()).await?;
    tokens.add("other", Access::imap("berta@example.com"), HOUR);
    let goodbye = "* BYE Session invalidated - AccessTokenExpired\r\n";
    let mut between = Client::sign_in(&exchange, ANNA, "good").await?;
    let mut idling = Client::sign_in(&exchange, ANNA, "good").await?;
    idling.ask("SELECT INBOX").await?;
    idling.say("T IDLE").await?;
    idling.line().await?;
    let mut other = Client::sign_in(&exchange, "berta@example.com", "other").await?;

    tokens.expire(ANNA);

    assert_eq!(between.rest().await?, goodbye);
    assert_eq!(idling.rest().await?, goodbye);
    assert_eq!(other.ask("NOOP").await?, "T OK NOOP completed.\r\n");

    let mut client = greeted(&exchange).await?;
    tokens.add("brief", Access::imap(ANNA), Duration::from_secs(1));
    client.ask(&format!("AUTHENTICATE XOAUTH2 {}", xoauth2(ANNA, "brief"))).await?;
    assert_eq!(client.rest().await?, goodbye, "by the clock, too");
    Ok(())
}
