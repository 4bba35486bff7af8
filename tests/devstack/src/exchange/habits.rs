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
}
