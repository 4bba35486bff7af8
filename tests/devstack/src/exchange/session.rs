//! One connection: who has logged in, which folder is open, and what is awaited.

use std::future::pending;

use tokio::sync::watch;

use super::accounts::{Accounts, Admission, Pass};
use super::answer::{Answer, Awaited};
use super::command::Command;
use super::folders;
use super::habits::{Habits, Idle};
use super::open::Open;
use super::sasl::{Credential, Mechanism};

pub(super) const ARGUMENT_ERROR: &str = "BAD Command Argument Error. 11";
const INVALID_STATE: &str = "BAD Command received in Invalid state.";
pub(super) const UNKNOWN: &str = "BAD Command Error. 10";
const REFUSED: &str = "NO AUTHENTICATE failed.";
const IDLING: &str = "IDLE accepted, awaiting DONE command.";

/// Where a connection stands.
#[derive(Default)]
pub(super) struct Session {
    standing: Standing,
    open: Option<Open>,
    /// The command that is still to end, by its tag, and what the next line is taken for.
    awaited: Option<(String, Awaited)>,
}

#[derive(Default)]
enum Standing {
    #[default]
    Anonymous,
    /// Authenticated, but not connected: the client may have been told so.
    Unconnected {
        told: bool,
    },
    Connected {
        user: String,
        pass: Option<Pass>,
    },
}

/// What happens on the server's side while the client says nothing.
pub(super) enum Event {
    /// The mailbox may have changed during an IDLE.
    News,
    TokenExpired,
}

impl Session {
    /// Whose mailbox is open to the client.
    pub(super) fn user(&self) -> Option<&str> {
        match &self.standing {
            Standing::Connected { user, .. } => Some(user),
            _ => None,
        }
    }

    /// UIDVALIDITY as the client knows it.
    pub(super) fn uidvalidity(&self) -> Option<u32> {
        self.open.as_ref().map(Open::uidvalidity)
    }

    /// Takes the client's next line for this.
    pub(super) fn wait_for(&mut self, tag: &str, awaited: Awaited) {
        self.awaited = Some((tag.to_owned(), awaited));
    }

    /// What the client's next line is, if it is no command.
    pub(super) fn take_awaited(&mut self) -> Option<(String, Awaited)> {
        self.awaited.take()
    }

    /// Waits for something that the server has to speak about without being asked.
    pub(super) async fn event(&mut self) -> Event {
        let expiry = async {
            match &self.standing {
                Standing::Connected { pass: Some(pass), .. } => pass.expiry().await,
                _ => pending().await,
            }
        };
        let news = async {
            match &mut self.awaited {
                // Fails only when the server is gone, and this with it.
                Some((_, Awaited::Done(news))) => drop(news.changed().await),
                _ => pending().await,
            }
        };
        tokio::select! {
            biased;
            () = expiry => Event::TokenExpired,
            () = news => Event::News,
        }
    }

    /// Obeys a command.
    pub(super) fn obey(&mut self, command: &Command, accounts: &mut Accounts, habits: &Habits) -> Answer {
        if command.is_too_long() {
            return Answer::tagged("BAD Command Error. 12");
        }
        let name = command.name.as_str();
        match (name, &mut self.standing) {
            ("CAPABILITY", _) => self.capability(habits),
            ("LOGOUT", _) => {
                let bye = "* BYE Microsoft Exchange Server IMAP4 server signing off.";
                Answer::completed(name).line(bye).ending()
            }
            (_, Standing::Unconnected { told }) => turn_away(told),
            ("NOOP", Standing::Anonymous) => Answer::completed(name),
            ("ID", _) => Answer::completed(name).line("* ID NIL"),
            ("LOGIN", Standing::Anonymous) => self.login(command, accounts),
            ("AUTHENTICATE", Standing::Anonymous) => self.authenticate(command, accounts, habits),
            (_, Standing::Anonymous) => Answer::tagged(INVALID_STATE),
            (_, Standing::Connected { user, .. }) => {
                let user = user.clone();
                self.obey_user(command, &user, accounts, habits)
            }
        }
    }

    /// Goes on with a command whose client has sent the line that it was asked for.
    pub(super) fn resume(
        &mut self,
        awaited: &Awaited,
        line: &str,
        accounts: &mut Accounts,
        habits: &Habits,
    ) -> Answer {
        match awaited {
            Awaited::Done(_) if line.eq_ignore_ascii_case("DONE") => {
                self.with_news(Answer::completed("IDLE"), accounts)
            }
            Awaited::Apology(expected) if line == *expected => Answer::tagged(REFUSED),
            Awaited::Done(_) | Awaited::Apology(_) => Answer::tagged(ARGUMENT_ERROR),
            Awaited::Credentials(mechanism) => self.admit_by(*mechanism, line, accounts, habits),
        }
    }

    /// Speaks up in an IDLE during which the mailbox may have changed.
    pub(super) fn speak_up(&mut self, accounts: &mut Accounts, habits: &Habits) -> Answer {
        let answer = Answer::nothing();
        if !self.has_news(accounts) {
            return answer;
        }
        match habits.idle {
            Idle::Tells | Idle::TellsBeforehand => self.with_news(answer, accounts),
            Idle::Misses => answer,
            Idle::EndsByBye => answer.line("* BYE Connection is closed. 13").ending(),
            Idle::EndsByOk => match self.take_awaited() {
                Some((tag, _)) => answer.line(&format!("{tag} OK IDLE completed.")),
                None => answer,
            },
        }
    }

    fn capability(&self, habits: &Habits) -> Answer {
        let announced = match self.standing {
            Standing::Anonymous => &habits.before_login,
            _ => &habits.after_login,
        };
        Answer::completed("CAPABILITY").line(&format!("* CAPABILITY {}", announced.join(" ")))
    }

    fn login(&mut self, command: &Command, accounts: &Accounts) -> Answer {
        let mut words = command.words().into_iter();
        let (user, password) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if self.admit(&user, Credential::Password(password), accounts) {
            Answer::completed("LOGIN")
        } else {
            Answer::tagged("NO LOGIN failed.")
        }
    }

    fn authenticate(&mut self, command: &Command, accounts: &Accounts, habits: &Habits) -> Answer {
        let mut words = command.arguments.split(' ');
        let mechanism = words.next().and_then(Mechanism::of);
        let announced = |capability: &str| habits.before_login.contains(&capability);
        match (mechanism.filter(|mechanism| announced(mechanism.capability())), words.next()) {
            (Some(mechanism), None) => Answer::carry_on("", Awaited::Credentials(mechanism)),
            (Some(mechanism), Some(response)) if announced("SASL-IR") => {
                self.admit_by(mechanism, response, accounts, habits)
            }
            _ => Answer::tagged(ARGUMENT_ERROR),
        }
    }

    fn admit_by(
        &mut self,
        mechanism: Mechanism,
        response: &str,
        accounts: &Accounts,
        habits: &Habits,
    ) -> Answer {
        let Ok((user, credential)) = mechanism.read(response) else { return Answer::tagged(ARGUMENT_ERROR) };
        if self.admit(&user, credential, accounts) {
            return Answer::completed("AUTHENTICATE");
        }
        match mechanism.challenge(habits.challenges) {
            Some((challenge, apology)) => Answer::carry_on(challenge, Awaited::Apology(apology)),
            None => Answer::tagged(REFUSED),
        }
    }

    /// Whether the user is authenticated. That need not mean connected.
    fn admit(&mut self, user: &str, credential: Credential, accounts: &Accounts) -> bool {
        self.standing = match accounts.admit(user, credential) {
            Admission::Refused => return false,
            Admission::Unconnected => Standing::Unconnected { told: false },
            Admission::Connected(pass) => Standing::Connected { user: user.to_owned(), pass },
        };
        true
    }

    fn obey_user(
        &mut self,
        command: &Command,
        user: &str,
        accounts: &mut Accounts,
        habits: &Habits,
    ) -> Answer {
        let name = command.name.as_str();
        if name == "IDLE" && habits.announces("IDLE") && self.open.is_some() {
            return self.idle(accounts.listen(user), accounts, habits);
        }
        let mailbox = accounts.mailbox(user);
        let answer = match name {
            "NOOP" => Answer::completed(name),
            "LIST" => folders::list(command, mailbox, habits),
            "CREATE" => folders::create(command, mailbox, habits),
            "SELECT" => {
                let (open, answer) = Open::select(command, mailbox, habits);
                self.open = open;
                answer
            }
            _ => match &self.open {
                None => Answer::tagged(INVALID_STATE),
                Some(open) => open.obey(command, mailbox, habits),
            },
        };
        if habits.renumbers_when_empty {
            mailbox.renumber_empty();
        }
        if name == "SELECT" { answer } else { self.with_news(answer, accounts) }
    }

    fn idle(&mut self, mut news: watch::Receiver<()>, accounts: &mut Accounts, habits: &Habits) -> Answer {
        if habits.idle != Idle::TellsBeforehand {
            // What is news already is told right after the `+`.
            news.mark_changed();
            return Answer::carry_on(IDLING, Awaited::Done(news));
        }
        self.with_news(Answer::carry_on(IDLING, Awaited::Done(news)), accounts)
    }

    fn has_news(&self, accounts: &mut Accounts) -> bool {
        match (&self.open, self.user()) {
            (Some(open), Some(user)) => open.has_news(accounts.mailbox(user)),
            _ => false,
        }
    }

    /// Adds what has changed in the open folder.
    fn with_news(&mut self, mut answer: Answer, accounts: &mut Accounts) -> Answer {
        if let (Some(open), Standing::Connected { user, .. }) = (&mut self.open, &self.standing) {
            open.tell_news(accounts.mailbox(user), &mut answer);
        }
        answer
    }
}

/// Exchange says so twice and then closes the connection (simonrob/email-oauth2-proxy#74, jstedfast/MailKit#1496).
fn turn_away(told: &mut bool) -> Answer {
    let answer = Answer::tagged("BAD User is authenticated but not connected.");
    if std::mem::replace(told, true) {
        answer.afterwards("* BYE Connection closed. 14").ending()
    } else {
        answer
    }
}
