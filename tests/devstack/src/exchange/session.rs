//! One connection: what each command does, and the words in which Exchange answers.

use anyhow::{Context, Result};

use super::command::Command;
use super::fetch;
use super::habits::{CopyUid, Habits};
use super::mailbox::{MailFolder, Mailbox};

/// The flags that are kept. Without `\*`: keywords of a client's own are not.
const FLAGS: &str = "\\Seen \\Answered \\Flagged \\Deleted \\Draft $MDNSent";

const ARGUMENT_ERROR: &str = "BAD Command Argument Error. 11";
const INVALID_STATE: &str = "BAD Command received in Invalid state.";

/// Copies or moves messages from one folder to another, and gives their UIDs here and there.
type Carry = fn(&mut Mailbox, &[u32], &str, &str) -> Result<Vec<(u32, u32)>>;

/// Where a connection stands.
#[derive(Debug, Default)]
pub(super) struct Session {
    logged_in: bool,
    open: Option<Open>,
}

/// The folder that a client has open, as it believes it to be.
#[derive(Debug)]
struct Open {
    folder: String,
    uidvalidity: u32,
    /// The UID of each message, by its number.
    uids: Vec<u32>,
}

/// An answer: untagged responses, and what follows the tag.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) untagged: Vec<u8>,
    pub(super) tagged: String,
    pub(super) ends: bool,
}

impl Session {
    /// UIDVALIDITY as the client knows it.
    pub(super) fn uidvalidity(&self) -> Option<u32> {
        self.open.as_ref().map(|open| open.uidvalidity)
    }

    /// Obeys a command.
    pub(super) fn obey(
        &mut self,
        command: &Command,
        mailbox: &mut Mailbox,
        habits: &Habits,
        password: &str,
    ) -> Answer {
        if command.is_too_long() {
            return Answer::tagged("BAD Command Error. 12");
        }
        let name = command.name.as_str();
        let mut answer = match name {
            "CAPABILITY" => self.capability(habits),
            "NOOP" => Answer::completed(name),
            "ID" => Answer::completed(name).line("* ID NIL"),
            "LOGOUT" => Answer {
                ends: true,
                ..Answer::completed(name).line("* BYE Microsoft Exchange Server IMAP4 server signing off.")
            },
            "LOGIN" if !self.logged_in => self.login(command, password),
            // XOAUTH2 belongs here: what `login` is to a password, it is to a token.
            "AUTHENTICATE" if !self.logged_in => Answer::tagged("NO AUTHENTICATE failed."),
            _ if !self.logged_in => Answer::tagged(INVALID_STATE),
            "LIST" => list(command, mailbox, habits),
            "CREATE" => create(command, mailbox, habits),
            "SELECT" => self.select(command, mailbox, habits),
            _ => match &self.open {
                None => Answer::tagged(INVALID_STATE),
                // Whatever does not come about is the client's fault: a set that is none, a folder that is away.
                Some(open) => open.obey(command, mailbox, habits).unwrap_or(Answer::tagged(ARGUMENT_ERROR)),
            },
        };
        if habits.renumbers_when_empty {
            renumber_empty(mailbox);
        }
        if let Some(open) = self.open.as_mut().filter(|_| name != "SELECT") {
            open.tell_news(mailbox, &mut answer);
        }
        answer
    }

    fn capability(&self, habits: &Habits) -> Answer {
        let announced = if self.logged_in { &habits.after_login } else { &habits.before_login };
        Answer::completed("CAPABILITY").line(&format!("* CAPABILITY {}", announced.join(" ")))
    }

    fn login(&mut self, command: &Command, password: &str) -> Answer {
        if command.words().get(1).is_none_or(|given| given != password) {
            return Answer::tagged("NO LOGIN failed.");
        }
        self.logged_in = true;
        Answer::completed("LOGIN")
    }

    fn select(&mut self, command: &Command, mailbox: &mut Mailbox, habits: &Habits) -> Answer {
        self.open = None;
        let name = command.words().into_iter().next().unwrap_or_default();
        let Ok(folder) = mailbox.folder(&name) else {
            return Answer::tagged(&format!("NO {name} doesn't exist."));
        };
        let mut answer = Answer::tagged("OK [READ-WRITE] SELECT completed.")
            .line(&format!("* {} EXISTS", folder.messages.len()))
            .line("* 0 RECENT")
            .line(&format!("* FLAGS ({FLAGS})"))
            .line(&format!("* OK [PERMANENTFLAGS ({FLAGS})] Permanent flags"))
            .line(&format!("* OK [UIDVALIDITY {}] UIDVALIDITY value", folder.uidvalidity));
        if habits.uidnext {
            answer =
                answer.line(&format!("* OK [UIDNEXT {}] The next unique identifier value", folder.uidnext));
        }
        self.open = Some(Open { folder: name, uidvalidity: folder.uidvalidity, uids: folder.uids() });
        answer
    }
}

impl Open {
    fn obey(&self, command: &Command, mailbox: &mut Mailbox, habits: &Habits) -> Result<Answer> {
        command.ranges()?;
        let folder = mailbox.folder(&self.folder)?;
        let uids = command.uids_among(&folder.uids());
        let announced = |capability: &str| habits.after_login.contains(&capability);
        match command.name.as_str() {
            "UID FETCH" => fetch_from(folder, &uids, command),
            "UID STORE" => store(folder, &uids, command),
            "UID EXPUNGE" if announced("UIDPLUS") => {
                let flagged = |uid: &u32| folder.message(*uid).is_ok_and(|message| message.is_deleted());
                let doomed: Vec<u32> = uids.into_iter().filter(flagged).collect();
                folder.remove(&doomed);
                Ok(Answer::completed("EXPUNGE"))
            }
            "UID COPY" => self.transfer(command, &uids, mailbox, habits, Mailbox::copy),
            "UID MOVE" if announced("MOVE") => {
                self.transfer(command, &uids, mailbox, habits, Mailbox::relocate)
            }
            // Numbers of messages, EXPUNGE and CLOSE are nothing that we ever send.
            _ => Ok(Answer::tagged("BAD Command Error. 10")),
        }
    }

    fn transfer(
        &self,
        command: &Command,
        uids: &[u32],
        mailbox: &mut Mailbox,
        habits: &Habits,
        carry: Carry,
    ) -> Result<Answer> {
        let to = command.words().into_iter().nth(1).context("no folder to go to")?;
        let Ok(uidvalidity) = mailbox.folder(&to).map(|to| to.uidvalidity) else {
            return Ok(Answer::tagged("NO [TRYCREATE] The requested folder could not be found."));
        };
        let carried = carry(mailbox, uids, &self.folder, &to)?;
        let name = command.name.trim_start_matches("UID ");
        let list = |uids: Vec<String>| uids.join(",");
        let sources = list(carried.iter().map(|(source, _)| source.to_string()).collect());
        let targets = list(carried.iter().map(|(_, target)| target.to_string()).collect());
        let code = format!("OK [COPYUID {uidvalidity} {sources} {targets}]");
        Ok(match habits.copyuid {
            CopyUid::Untagged if !carried.is_empty() => Answer::completed(name).line(&format!("* {code}")),
            CopyUid::Tagged if !carried.is_empty() => Answer::tagged(&format!("{code} {name} completed.")),
            _ => Answer::completed(name),
        })
    }

    /// Says what has changed in the folder since the client was last told.
    fn tell_news(&mut self, mailbox: &mut Mailbox, answer: &mut Answer) {
        let Ok(folder) = mailbox.folder(&self.folder) else { return };
        let mut news = Vec::new();
        if folder.uidvalidity != self.uidvalidity {
            news.push(format!("* OK [UIDVALIDITY {}] UIDVALIDITY value", folder.uidvalidity));
            self.uidvalidity = folder.uidvalidity;
        }
        let uids = folder.uids();
        // From the end: the number of one tells nothing of those before it.
        for at in (0..self.uids.len()).rev() {
            if self.uids.get(at).is_some_and(|uid| !uids.contains(uid)) {
                self.uids.remove(at);
                news.push(format!("* {} EXPUNGE", at + 1));
            }
        }
        if uids.len() > self.uids.len() {
            news.push(format!("* {} EXISTS", uids.len()));
        }
        self.uids = uids;
        for line in news {
            answer.untagged.extend(format!("{line}\r\n").bytes());
        }
    }
}

impl Answer {
    /// One without untagged responses.
    pub(super) fn tagged(tagged: &str) -> Self {
        Self { tagged: tagged.to_owned(), ..Self::default() }
    }

    fn completed(name: &str) -> Self {
        Self::tagged(&format!("OK {name} completed."))
    }

    /// … with this line before it.
    pub(super) fn line(mut self, line: &str) -> Self {
        self.untagged.extend(format!("{line}\r\n").bytes());
        self
    }
}

fn list(command: &Command, mailbox: &Mailbox, habits: &Habits) -> Answer {
    let pattern = command.words().into_iter().nth(1).unwrap_or_default();
    let mut answer = Answer::completed("LIST");
    for folder in &mailbox.folders {
        if pattern == "*" || folder.name.eq_ignore_ascii_case(&pattern) {
            let name = folder.name.replace('\\', "\\\\").replace('"', "\\\"");
            answer = answer.line(&format!("* LIST (\\HasNoChildren) \"{}\" \"{name}\"", habits.delimiter));
        }
    }
    answer
}

fn create(command: &Command, mailbox: &mut Mailbox, habits: &Habits) -> Answer {
    let name = command.words().into_iter().next().unwrap_or_default();
    if !name.starts_with(habits.prefix) {
        return Answer::tagged("NO [CANNOT] Invalid mailbox name.");
    }
    if mailbox.folder(&name).is_ok() {
        return Answer::tagged("NO Mailbox already exists.");
    }
    mailbox.create(&name);
    Answer::completed("CREATE")
}

fn fetch_from(folder: &mut MailFolder, uids: &[u32], command: &Command) -> Result<Answer> {
    let words = command.words();
    let items = words.get(1).context("nothing to fetch")?;
    let untagged = fetch::responses(folder, uids, items)?;
    Ok(Answer { untagged, ..Answer::completed("FETCH") })
}

fn store(folder: &mut MailFolder, uids: &[u32], command: &Command) -> Result<Answer> {
    let words = command.words();
    let [_, how, flags] = words.as_slice() else { anyhow::bail!("not a set, a manner and flags") };
    let flags = flags.split(' ').filter(|flag| FLAGS.split(' ').any(|kept| kept == *flag));
    let flags: Vec<String> = flags.map(str::to_owned).collect();
    for message in folder.messages.iter_mut().filter(|message| uids.contains(&message.uid)) {
        match how.as_str() {
            "+FLAGS.SILENT" => message.flags.extend(flags.iter().cloned()),
            "-FLAGS.SILENT" => message.flags.retain(|flag| !flags.contains(flag)),
            _ => anyhow::bail!("{how} is not known here"),
        }
    }
    Ok(Answer::completed("STORE"))
}

fn renumber_empty(mailbox: &mut Mailbox) {
    let used = mailbox.folders.iter().filter(|folder| folder.messages.is_empty() && folder.uidnext > 1);
    let names: Vec<String> = used.map(|folder| folder.name.clone()).collect();
    for name in names {
        // It was there a moment ago.
        let _ = mailbox.renumber(&name);
    }
}
