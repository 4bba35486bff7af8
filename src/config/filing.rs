//! `[filing]` and `[filing.actions]`

use std::fmt;
use std::time::Duration;

use secrecy::SecretString;

use super::redacted::Toml;
use super::secret::SecretKey;
use super::section::Section;

/// How mail finds its ticket, and which mail finds none.
#[derive(Clone)]
pub struct Filing {
    /// What reply tokens are signed with, newest first. Without one there are no reply tokens.
    pub token_keys: Vec<SecretString>,
    /// How sure a rule must be for a mail to join a ticket, in hundredths.
    pub threshold_percent: u8,
    /// A ticket that was closed longer ago is not opened again: the mail opens another, which is linked to it.
    pub reopen_window: Duration,
    /// When a reply under another subject is a matter of its own.
    pub new_topic: NewTopic,
    /// What subject tokens begin with.
    pub subject_prefix: String,
    /// Domains, besides those of known providers, at which anybody gets an address. Private.
    pub shared_domains: Vec<String>,
    /// Mails of one sender that are filed in an hour; 0 for any number.
    pub sender_per_hour: u32,
    /// How long a sender of more is shut out.
    pub sender_pause: Duration,
    /// Senders, and domains of senders, who may send any number. Private.
    pub unlimited_senders: Vec<String>,
    /// Mails that one ticket takes in 24 hours; 0 for any number.
    pub ticket_per_day: u32,
    /// The so-manieth mail with the same subject, text and attachments is too much; 0 for any number.
    pub same_mail: u32,
    /// If they come within this.
    pub same_mail_window: Duration,
    /// What is done with mail of each kind.
    pub actions: Actions,
}

/// When a reply under another subject opens a ticket, which is linked to the one that it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewTopic {
    /// Never.
    Never,
    /// If that one is closed.
    Closed,
    /// If that one is closed, or if the reply quotes nothing.
    Unquoted,
}

/// What is done with mail of each kind, by the verdict on who wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actions {
    /// A person.
    pub human: Action,
    /// A program that answers for a person.
    pub auto_reply: Action,
    /// A program of its own accord.
    pub auto_generated: Action,
    /// A mailing list or a sender of bulk mail.
    pub bulk_list: Action,
    /// A mail server that gave up a mail.
    pub bounce_failed: Action,
    /// A mail server that still tries.
    pub bounce_delayed: Action,
    /// A program that says that a mail arrived or was read.
    pub receipt: Action,
    /// A calendar.
    pub calendar: Action,
    /// A provider that passes on a complaint.
    pub complaint: Action,
    /// What stands behind the mailbox itself.
    pub own_loop: Action,
}

/// What is done with a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It joins its ticket, or opens one.
    Ticket,
    /// It joins its ticket, which stays closed if it is; without one, it is archived.
    AppendOnly,
    /// It is stored in no ticket until a person has looked.
    Suspend,
    /// It is stored in no ticket.
    Archive,
}

const TOKEN_KEY_ALLOWED: &str = "at least 24 random characters; make them by: openssl rand -base64 32";

const TOKEN_KEY: SecretKey = SecretKey {
    key: "token_key",
    file_key: "token_key_file",
    allowed: TOKEN_KEY_ALLOWED,
    check: check_token_key,
};

const PREVIOUS_TOKEN_KEY: SecretKey = SecretKey {
    key: "previous_token_key",
    file_key: "previous_token_key_file",
    allowed: TOKEN_KEY_ALLOWED,
    check: check_token_key,
};

/// Long enough for any rate that is one.
const MAX_RATE: u32 = 100_000;

/// What came before is forgotten (store/rates.rs).
const LONGEST_WINDOW: Duration = Duration::from_hours(24);

impl Filing {
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let token_key = section.optional_secret(&TOKEN_KEY);
        let previous_token_key = section.optional_secret(&PREVIOUS_TOKEN_KEY);
        if previous_token_key.is_some() && token_key.is_none() {
            section.refuse(
                "previous_token_key",
                "it without token_key",
                "a former token_key, beside the present one",
            );
        }
        let threshold_percent = section.fraction("threshold");
        let reopen_window = section.duration("reopen_window");
        let new_topic = section.choice("new_topic", &NewTopic::ALL.map(|topic| (topic.as_str(), topic)));
        let subject_prefix = read_prefix(&mut section);
        let shared_domains = section.texts("shared_domains", r#"a list such as ["isp.example"]"#, is_domain);
        let sender_per_hour = section.number("sender_per_hour", 0..=MAX_RATE);
        let sender_pause = section.duration("sender_pause");
        let unlimited_senders = section.texts(
            "unlimited_senders",
            r#"a list such as ["scanner@example.com", "monitoring.example.com"]"#,
            is_domain,
        );
        let ticket_per_day = section.number("ticket_per_day", 0..=MAX_RATE);
        let same_mail = section.number("same_mail", 0..=MAX_RATE);
        if same_mail == Some(1) {
            section.refuse(
                "same_mail",
                "1, which would suspend all mail",
                "0, or a whole number from 2 to 100000",
            );
        }
        let same_mail_window = section.duration("same_mail_window");
        if same_mail_window.is_some_and(|window| window > LONGEST_WINDOW) {
            section.refuse("same_mail_window", "a longer time", "at most a day");
        }
        let actions = section.table("actions", "a table headed [filing.actions]").and_then(Actions::read);
        section.end();
        Some(Self {
            token_keys: token_key.into_iter().chain(previous_token_key).collect(),
            threshold_percent: threshold_percent?,
            reopen_window: reopen_window?,
            new_topic: new_topic?,
            subject_prefix: subject_prefix?,
            shared_domains: shared_domains?,
            sender_per_hour: sender_per_hour?,
            sender_pause: sender_pause?,
            unlimited_senders: unlimited_senders?,
            ticket_per_day: ticket_per_day?,
            same_mail: same_mail?,
            same_mail_window: same_mail_window?,
            actions: actions?,
        })
    }

    pub(super) fn write(&self, toml: &mut Toml) {
        toml.header("[filing]");
        for (key, _) in ["token_key", "previous_token_key"].into_iter().zip(&self.token_keys) {
            toml.text(key, "***");
        }
        toml.fraction("threshold", self.threshold_percent);
        toml.duration("reopen_window", self.reopen_window);
        toml.text("new_topic", self.new_topic.as_str());
        toml.text("subject_prefix", &self.subject_prefix);
        toml.list("shared_domains", self.shared_domains.iter().map(String::as_str));
        toml.plain("sender_per_hour", self.sender_per_hour);
        toml.duration("sender_pause", self.sender_pause);
        toml.list("unlimited_senders", self.unlimited_senders.iter().map(String::as_str));
        toml.plain("ticket_per_day", self.ticket_per_day);
        toml.plain("same_mail", self.same_mail);
        toml.duration("same_mail_window", self.same_mail_window);
        self.actions.write(toml);
    }
}

// By hand: domains and senders are private.
impl fmt::Debug for Filing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filing")
            .field("token_keys", &self.token_keys.len())
            .field("threshold_percent", &self.threshold_percent)
            .field("actions", &self.actions)
            .finish_non_exhaustive()
    }
}

impl Actions {
    /// The same for all mail.
    pub fn all(action: Action) -> Self {
        Self {
            human: action,
            auto_reply: action,
            auto_generated: action,
            bulk_list: action,
            bounce_failed: action,
            bounce_delayed: action,
            receipt: action,
            calendar: action,
            complaint: action,
            own_loop: action,
        }
    }

    fn read(mut section: Section<'_>) -> Option<Self> {
        let mut action = |key| section.choice(key, &Action::ALL.map(|action| (action.as_str(), action)));
        let human = action("human");
        let auto_reply = action("auto_reply");
        let auto_generated = action("auto_generated");
        let bulk_list = action("bulk_list");
        let bounce_failed = action("bounce_failed");
        let bounce_delayed = action("bounce_delayed");
        let receipt = action("receipt");
        let calendar = action("calendar");
        let complaint = action("complaint");
        // A ticket from our own mail answers itself.
        let own_loop =
            section.choice("own_loop", &[("archive", Action::Archive), ("suspend", Action::Suspend)]);
        section.end();
        Some(Self {
            human: human?,
            auto_reply: auto_reply?,
            auto_generated: auto_generated?,
            bulk_list: bulk_list?,
            bounce_failed: bounce_failed?,
            bounce_delayed: bounce_delayed?,
            receipt: receipt?,
            calendar: calendar?,
            complaint: complaint?,
            own_loop: own_loop?,
        })
    }

    fn write(self, toml: &mut Toml) {
        toml.header("[filing.actions]");
        for (key, action) in [
            ("human", self.human),
            ("auto_reply", self.auto_reply),
            ("auto_generated", self.auto_generated),
            ("bulk_list", self.bulk_list),
            ("bounce_failed", self.bounce_failed),
            ("bounce_delayed", self.bounce_delayed),
            ("receipt", self.receipt),
            ("calendar", self.calendar),
            ("complaint", self.complaint),
            ("own_loop", self.own_loop),
        ] {
            toml.text(key, action.as_str());
        }
    }
}

impl NewTopic {
    const ALL: [Self; 3] = [Self::Never, Self::Closed, Self::Unquoted];

    fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Closed => "closed",
            Self::Unquoted => "unquoted",
        }
    }
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 4] = [Self::Ticket, Self::AppendOnly, Self::Suspend, Self::Archive];

    /// The name it is written, stored and sent by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ticket => "ticket",
            Self::AppendOnly => "append_only",
            Self::Suspend => "suspend",
            Self::Archive => "archive",
        }
    }
}

fn read_prefix(section: &mut Section<'_>) -> Option<String> {
    let allowed = "1 to 20 letters, digits, - or _";
    let prefix = section.required_text("subject_prefix", allowed)?;
    let is_word =
        prefix.len() <= 20 && prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if !is_word {
        section.refuse("subject_prefix", "a longer string, or one with other characters", allowed);
    }
    is_word.then_some(prefix)
}

/// Of a sender too: an address ends in one.
fn is_domain(text: &str) -> bool {
    !text.contains([' ', '<', '>', ',']) && !text.ends_with('@')
}

fn check_token_key(key: &str) -> Result<(), &'static str> {
    if key.chars().count() >= 24 { Ok(()) } else { Err("a shorter one") }
}
