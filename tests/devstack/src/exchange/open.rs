//! The folder that a client has open, and the commands on its messages.

use anyhow::{Context, Result};

use super::answer::Answer;
use super::command::Command;
use super::fetch;
use super::habits::{CopyUid, Habits};
use super::mailbox::{MailFolder, Mailbox};
use super::session::{ARGUMENT_ERROR, UNKNOWN};

/// The flags that are kept. Without `\*`: keywords of a client's own are not.
const FLAGS: &str = "\\Seen \\Answered \\Flagged \\Deleted \\Draft $MDNSent";

/// Copies or moves messages from one folder to another, and gives their UIDs here and there.
type Carry = fn(&mut Mailbox, &[u32], &str, &str) -> Result<Vec<(u32, u32)>>;

/// The folder that a client has open, as it believes it to be.
#[derive(Debug)]
pub(super) struct Open {
    folder: String,
    uidvalidity: u32,
    /// The UID of each message, by its number.
    uids: Vec<u32>,
}

impl Open {
    /// Opens a folder, or says why not.
    pub(super) fn select(
        command: &Command,
        mailbox: &mut Mailbox,
        habits: &Habits,
    ) -> (Option<Self>, Answer) {
        let name = command.words().into_iter().next().unwrap_or_default();
        let Ok(folder) = mailbox.folder(&name) else {
            return (None, Answer::tagged(format!("NO {name} doesn't exist.")));
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
        let open = Self { folder: name, uidvalidity: folder.uidvalidity, uids: folder.uids() };
        (Some(open), answer)
    }

    /// UIDVALIDITY as the client knows it.
    pub(super) fn uidvalidity(&self) -> u32 {
        self.uidvalidity
    }

    /// Obeys a command on messages.
    pub(super) fn obey(&self, command: &Command, mailbox: &mut Mailbox, habits: &Habits) -> Answer {
        // Whatever does not come about is the client's fault: a set that is none, a folder that is away.
        self.attempt(command, mailbox, habits).unwrap_or_else(|_| Answer::tagged(ARGUMENT_ERROR))
    }

    fn attempt(&self, command: &Command, mailbox: &mut Mailbox, habits: &Habits) -> Result<Answer> {
        command.ranges()?;
        let folder = mailbox.folder(&self.folder)?;
        let uids = command.uids_among(&folder.uids());
        let announced = |capability: &str| habits.announces(capability);
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
            _ => Ok(Answer::tagged(UNKNOWN)),
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
            CopyUid::Tagged if !carried.is_empty() => Answer::tagged(format!("{code} {name} completed.")),
            _ => Answer::completed(name),
        })
    }

    /// Whether anything has changed in the folder since the client was last told.
    pub(super) fn has_news(&self, mailbox: &mut Mailbox) -> bool {
        let folder = mailbox.folder(&self.folder);
        folder.is_ok_and(|folder| folder.uidvalidity != self.uidvalidity || folder.uids() != self.uids)
    }

    /// Says what has.
    pub(super) fn tell_news(&mut self, mailbox: &mut Mailbox, answer: &mut Answer) {
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
