//! How the server does things for as long as it runs, where servers differ.

/// The habits of a server. The default is Exchange Online.
#[derive(Debug, Clone)]
pub struct Habits {
    /// What it says it can do before the login.
    pub before_login: Vec<&'static str>,
    /// … and after it. It refuses MOVE and UID EXPUNGE unless it has announced them.
    pub after_login: Vec<&'static str>,
    /// Where it names the messages that a COPY or MOVE took along.
    pub copyuid: CopyUid,
    /// Whether SELECT tells UIDNEXT.
    pub uidnext: bool,
    /// What stands between the names of folders in folders.
    pub delimiter: char,
    /// What the name of every folder but INBOX starts with, or it can't be created.
    pub prefix: &'static str,
    /// What it does in an IDLE, which it refuses unless it has announced it.
    pub idle: Idle,
    /// Whether it explains why a token is refused, in a challenge that must be answered by an empty line. Google does.
    pub challenges: bool,
    /// Whether a folder that becomes empty gets another UIDVALIDITY, and UIDs from 1.
    pub renumbers_when_empty: bool,
}

/// Where a server names the messages that a COPY or MOVE took along (RFC 4315, RFC 6851 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyUid {
    /// In an untagged OK.
    Untagged,
    /// In the tagged OK.
    Tagged,
    /// Nowhere.
    Absent,
}

/// What a server does in an IDLE (RFC 2177) when its mailbox changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idle {
    /// Tells it.
    Tells,
    /// The same, but what has changed before the IDLE it tells before it says `+` (Webklex/php-imap#258).
    TellsBeforehand,
    /// Says nothing until the IDLE ends (nmail#112).
    Misses,
    /// Closes the connection with a BYE instead.
    EndsByBye,
    /// Ends the IDLE instead, with a tagged OK.
    EndsByOk,
}

impl Default for Habits {
    fn default() -> Self {
        // As Exchange Online lists them (jstedfast/MailKit#1446): MOVE only after the login.
        let before_login = vec![
            "IMAP4",
            "IMAP4rev1",
            "AUTH=PLAIN",
            "AUTH=XOAUTH2",
            "SASL-IR",
            "UIDPLUS",
            "ID",
            "UNSELECT",
            "CHILDREN",
            "IDLE",
            "NAMESPACE",
            "LITERAL+",
        ];
        let mut after_login = before_login.clone();
        after_login.extend([
            "MOVE",
            "CLIENTACCESSRULES",
            "CLIENTNETWORKPRESENCELOCATION",
            "BACKENDAUTHENTICATE",
        ]);
        Self {
            before_login,
            after_login,
            copyuid: CopyUid::Untagged,
            uidnext: true,
            delimiter: '/',
            prefix: "",
            idle: Idle::Tells,
            challenges: false,
            renumbers_when_empty: false,
        }
    }
}

impl Habits {
    /// … without these capabilities.
    #[must_use]
    pub fn without(mut self, capabilities: &[&str]) -> Self {
        for announced in [&mut self.before_login, &mut self.after_login] {
            announced.retain(|name| !capabilities.contains(name));
        }
        self
    }

    /// … with these capabilities besides.
    #[must_use]
    pub fn announcing(mut self, capabilities: &[&'static str]) -> Self {
        self.before_login.extend(capabilities);
        self.after_login.extend(capabilities);
        self
    }

    /// Whether a client may count on this.
    pub(super) fn announces(&self, capability: &str) -> bool {
        self.after_login.contains(&capability)
    }
}
